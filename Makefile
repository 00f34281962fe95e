# `make` lists the commands. Each line below is one plain command that also works without make.

PYTHON ?= python3
BIN := .venv/bin
CORE := src/lumitag/domain.py,src/lumitag/events.py,src/lumitag/errors.py,src/lumitag/ports.py,src/lumitag/pipeline.py,src/lumitag/recognition/*

.DEFAULT_GOAL := help
.PHONY: help up test check fix lock setup setup-dev system-packages clean

help:  ## list the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

up: setup  ## install everything and start Lumitag on http://127.0.0.1:8000
	$(BIN)/lumitag up

test: setup-dev system-packages  ## install everything, check the style and run all tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest --cov --cov-report=
	$(BIN)/coverage report --skip-covered
	$(BIN)/coverage report --include='$(CORE)' --fail-under=100 --format=total

check: test  ## the same as test

fix: setup-dev  ## format the code and repair what can be repaired
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock:  ## choose newest versions for the lock files (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --upgrade --group lock -o requirements.lock pyproject.toml
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --upgrade --group lock --group dev -c requirements.lock -o requirements-dev.lock pyproject.toml

setup: .make/setup
setup-dev: .make/setup-dev

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Lumitag needs Python 3.11 or newer; name one with: make up PYTHON=python3.11")'
	$(PYTHON) -m venv .venv

# pip alone resolves nothing here: the lock file names every version and hash.
.make/setup: requirements.lock pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@mkdir -p .make && touch $@

.make/setup-dev: requirements-dev.lock .make/setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@mkdir -p .make && touch $@

system-packages:  # Debian's, for the tests alone: a browser with a font, and certificates for test servers
	@if ! { command -v chromium && command -v openssl; } >/dev/null && command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core openssl >/dev/null; fi

clean:  ## remove what was installed and built here (never the data folder)
	rm -rf .venv .make dist build .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis
