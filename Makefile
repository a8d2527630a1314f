# make run · make up · make test · make check. Needs Python 3.11 or newer.
PYTHON ?= python3
export STUDENTS COURSES SEATS CONNECTIONS SECONDS PICTURE SIZE PART TIMES ONLY WORK
BIN := .venv/bin

# What pip cannot install and tests marked `debian` ask: programs, and the packages of Debian that have them.
PROGRAMS := systemd-analyze promtool npm
PACKAGES := systemd prometheus npm
LOCK := --quiet --universal --python-version 3.11 --generate-hashes --no-config --custom-compile-command "make lock"

.PHONY: run up test test-stock test-all test-debian test-clients debian-programs debian-packages drill check format lock pin storm bench bench-growth profile

run: .venv/installed
	@$(BIN)/flask --app wsgi db upgrade
	@exec $(BIN)/gunicorn wsgi:app

# PostgreSQL, gunicorn and nginx as in production, on this machine: make up, or make up PORT=8080
up: .venv/installed-dev
	@exec $(BIN)/python -m devtools.topology

# Two files at a time; those that want the machine for themselves after the others.
test: .venv/installed-dev
	@$(BIN)/pytest -m "not debian and not clients" -n 2 --dist loadfile --ignore tests/concurrency --ignore tests/drills --cov-report= --cov-fail-under=0
	@$(BIN)/pytest -m "not debian and not clients" tests/concurrency tests/drills --cov-append

# All of it: also the tests that ask systemd about the units and promtool about metrics and alerts, and
# those that generate clients with npm
test-all: debian-programs test test-stock test-debian test-clients

# The same tests on plain gunicorn, Flask, SQLAlchemy and psycopg2, without the fast parts; or some of them: make test-stock TESTS=tests/web
test-stock: .venv/installed-dev
	@STOCK=1 $(BIN)/pytest -m "not debian and not clients" -n 2 --dist loadfile --no-cov $(or $(TESTS),--ignore tests/concurrency --ignore tests/drills)
	@$(if $(TESTS),,STOCK=1 $(BIN)/pytest -m "not debian and not clients" tests/concurrency tests/drills --no-cov)

test-debian: .venv/installed-dev debian-programs
	@$(BIN)/pytest -m debian --no-cov

test-clients: .venv/installed-dev debian-programs
	@$(BIN)/pytest -m clients --no-cov

debian-programs:
	@for program in $(PROGRAMS); do command -v $$program > /dev/null || { echo "$$program is missing: apt-get install --no-install-recommends $(PACKAGES)" >&2; exit 1; }; done

debian-packages:
	@echo $(PACKAGES)

# What can break in production is broken on purpose, for some minutes: prints a table of faults, verdicts and figures
drill: .venv/installed-dev
	@DRILL=full $(BIN)/pytest tests/drills --no-cov

# Registration day on a real PostgreSQL: make storm STUDENTS=10000 SEATS=500 CONNECTIONS=64
storm: .venv/installed-dev
	@$(BIN)/python -m benchmarks.storm

# How fast it is: make bench SECONDS=5 CONNECTIONS=32
bench: .venv/installed-dev
	@$(BIN)/python -m benchmarks.bench

# Whether anything gets slower as a school grows (a quarter of an hour, 12 GB of memory, 20 of disk): make bench-growth SIZE=10000000
bench-growth: .venv/installed-dev
	@$(BIN)/python -m benchmarks.growth

# Where the microseconds of a request go: make profile WORK=enroll
profile: .venv/installed-dev
	@$(BIN)/python -m benchmarks.profile

check: .venv/installed-dev
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/bandit -q -ii -c pyproject.toml -r course_management gunicorn.conf.py wsgi.py
	@$(BIN)/hadolint Dockerfile
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec compose.yaml
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/ci.yml

format: .venv/installed-dev
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

# Writes requirements.txt and requirements-dev.txt, with the hashes of all platforms, from the .in files beside them
lock: .venv/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	@$(BIN)/uv pip compile $(LOCK) requirements.in --output-file requirements.txt
	@$(BIN)/uv pip compile $(LOCK) requirements-dev.in --constraint requirements.txt --output-file requirements-dev.txt

# Writes the digests of the images into compose.yaml and the Dockerfile. Needs docker and its registries
pin: .venv/installed
	@$(BIN)/python -m deploy.pin

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Course Management needs Python 3.11 or newer; this is %d.%d. Name another: make run PYTHON=python3.12" % sys.version_info[:2])'
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

.venv/installed: .venv/bin/python requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

.venv/installed-dev: .venv/installed requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@
