# `make` lists every command. The `##` lines above a command are its description: first a sentence,
# then its parameters with their defaults. Needs Python 3.11 or newer.
PYTHON ?= python3
export STUDENTS COURSES SEATS CONNECTIONS SECONDS WINDOW PICTURE SIZE PART TIMES ONLY WORK
BIN := .venv/bin

# The programs that tests marked `debian` and `clients` use and pip cannot install, each with its Debian package.
PROGRAMS := systemd-analyze:systemd promtool:prometheus npm:npm
# The packages of those that are missing. A program that did not come from Debian may conflict with its package.
PACKAGES = $(strip $(foreach pair,$(PROGRAMS),$(if $(shell command -v $(word 1,$(subst :, ,$(pair)))),,$(word 2,$(subst :, ,$(pair))))))
# The tests of `make test`: all that need no such program and do not take long (tests/longest.py).
QUICK := not debian and not clients and not slow
# Each file runs in one process. The longest files come first (tests/longest.py).
FILES := --dist loadfile --no-loadscope-reorder
LOCK := --quiet --universal --no-strip-extras --python-version 3.11 --generate-hashes --no-config --custom-compile-command "make lock"

.PHONY: run up test test-stock test-all test-drills test-debian test-clients debian-programs debian-packages drill check format lock pin storm bench bench-growth profile
.PHONY: help test-slow check-style check-types check-deploy

## List these commands
help:
	@awk '/^## / {text[n++] = substr($$0, 4); next} \
		/^[a-z-]+:/ && n {sub(/:.*/, ""); printf "make %-17s %s\n", $$0, text[0]; \
		for (i = 1; i < n; i++) printf "%23s%s\n", "", text[i]} {n = 0}' $(MAKEFILE_LIST)

## Run the API on http://127.0.0.1:8000 with SQLite
## PYTHON=python3 (3.11 or newer); and every setting of docs/settings.md
run: .venv/installed
	@$(BIN)/flask --app wsgi db upgrade
	@$(BIN)/flask --app wsgi tick --every 30 --parent $$$$ & exec $(BIN)/gunicorn wsgi:app

## Run it as in production: nginx, several workers, PostgreSQL
## PORT= (default: a free port); and every setting of docs/settings.md
up: .venv/installed-dev
	@exec $(BIN)/python -m devtools.topology

# First four files at a time, since tests often wait. Then two at a time: these load the machine.
## Run the test suite on SQLite and on PostgreSQL
test: .venv/installed-dev
	@$(BIN)/pytest -m "$(QUICK)" -n 4 $(FILES) --ignore tests/concurrency --ignore tests/drills $(COVERAGE)
	@$(BIN)/pytest -m "$(QUICK)" -n 2 $(FILES) tests/concurrency

# Measuring coverage takes as long again as the code itself.
## Run every test: those of test, test-slow, test-drills, test-stock, test-debian and test-clients; measure coverage
test-all: debian-programs
	@THOROUGH=1 $(MAKE) --no-print-directory test QUICK="not debian and not clients" COVERAGE="--cov --cov-report=term-missing:skip-covered"
	@$(MAKE) --no-print-directory test-drills test-stock test-debian test-clients

# The first of them measures how long its requests wait, so nothing else may run beside it.
## Run the failure drills of docs/operations.md in a short form
test-drills: .venv/installed-dev
	@$(BIN)/pytest tests/drills/test_acts_under_fire.py
	@$(BIN)/pytest -n 2 $(FILES) tests/drills --ignore tests/drills/test_acts_under_fire.py

## Run the tests that take long, such as those of the benchmarks
test-slow: .venv/installed-dev
	@$(BIN)/pytest -m slow

## Run the tests without the fast parts (TESTS=tests/web runs only these)
test-stock: .venv/installed-dev
	@STOCK=1 $(BIN)/pytest -m "$(QUICK)" -n 4 $(FILES) $(or $(TESTS),--ignore tests/concurrency --ignore tests/drills)
	@$(if $(TESTS),,STOCK=1 $(BIN)/pytest -m "$(QUICK)" -n 2 $(FILES) tests/concurrency)
	@$(if $(TESTS),,STOCK=1 $(MAKE) --no-print-directory test-drills)

## Run the tests that need systemd and promtool
test-debian: .venv/installed-dev debian-programs
	@$(BIN)/pytest -m debian

## Run the tests that generate API clients with npm
test-clients: .venv/installed-dev debian-programs
	@$(BIN)/pytest -m clients

## Fail if a program that test-all needs is missing
debian-programs:
	@missing="$(PACKAGES)"; [ -z "$$missing" ] || { echo "Programs are missing: apt-get install --no-install-recommends $$missing" >&2; exit 1; }

## Print the Debian packages of the programs that test-all needs and that are missing
debian-packages:
	@echo $(PACKAGES)

## Run the failure drills of docs/operations.md, and print a table of results
drill: .venv/installed-dev
	@DRILL=full $(BIN)/pytest tests/drills

## Let students race for the seats of one course, and draw a chart
## STUDENTS=10000 SEATS=500 CONNECTIONS=64 WINDOW= PICTURE=storm.svg
storm: .venv/installed-dev
	@$(BIN)/python -m benchmarks.storm

## Measure requests per second and CPU time per request
## SECONDS=5 CONNECTIONS=32 STUDENTS=100000 COURSES=1000 ONLY=
bench: .venv/installed-dev
	@$(BIN)/python -m benchmarks.bench

## Compare a large database with a small one (15 minutes, 12 GB memory, 20 GB disk)
## SIZE=10000000 PART=100 TIMES=60 ONLY=
bench-growth: .venv/installed-dev
	@$(BIN)/python -m benchmarks.growth

## Show where the CPU time of a request goes
## WORK="list mine enroll"
profile: .venv/installed-dev
	@$(BIN)/python -m benchmarks.profile

## Check format, lint, types, imports, security and deployment files
check: check-style check-types check-deploy

## Check format and lint
check-style: .venv/installed-dev
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check

## Check types, import contracts and security
check-types: .venv/installed-dev
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/bandit -q -ii -c pyproject.toml -r course_management gunicorn.conf.py wsgi.py

## Check the Dockerfile, compose.yaml and the CI workflow
check-deploy: .venv/installed-dev
	@$(BIN)/hadolint Dockerfile
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec compose.yaml
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/ci.yml

## Format the code and fix what ruff can fix
format: .venv/installed-dev
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

## Write requirements.txt and requirements-dev.txt from their .in files
lock: .venv/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	@$(BIN)/uv pip compile $(LOCK) requirements.in --output-file requirements.txt
	@$(BIN)/uv pip compile $(LOCK) requirements-dev.in --constraint requirements.txt --output-file requirements-dev.txt

## Write the digests of the images into compose.yaml and the Dockerfile (needs docker)
pin: .venv/installed
	@$(BIN)/python -m deploy.pin

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Course Management needs Python 3.11 or newer; this is %d.%d. Choose another: make run PYTHON=python3.12" % sys.version_info[:2])'
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

.venv/installed: .venv/bin/python requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

.venv/installed-dev: .venv/installed requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@
