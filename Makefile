# make run · make up · make test · make check. Needs Python 3.11 or newer.
PYTHON ?= python3
export STUDENTS COURSES SEATS CONNECTIONS SECONDS PICTURE SIZE PART TIMES ONLY WORK
BIN := .venv/bin

.PHONY: run up test test-all drill check format storm bench bench-growth profile

run: .venv/installed
	@$(BIN)/flask --app wsgi db upgrade
	@exec $(BIN)/gunicorn wsgi:app

# PostgreSQL, gunicorn and nginx as in production, on this machine: make up, or make up PORT=8080
up: .venv/installed-dev
	@exec $(BIN)/python -m deploy.topology

# Two files at a time; those that want the machine for themselves after the others.
test: .venv/installed-dev
	@$(BIN)/pytest -n 2 --dist loadfile -m "not clients" --ignore tests/concurrency --ignore tests/drills --cov-report= --cov-fail-under=0
	@$(BIN)/pytest tests/concurrency tests/drills --cov-append

# The same, and the tests that generate clients: they need npm
test-all: test
	@$(BIN)/pytest -m clients --no-cov

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

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Course Management needs Python 3.11 or newer; this is %d.%d. Name another: make run PYTHON=python3.12" % sys.version_info[:2])'
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

.venv/installed: .venv/bin/python requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/installed-dev: .venv/installed requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
