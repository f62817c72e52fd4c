# `make help` lists the targets. Everything is installed into .venv, and only what the two locks pin, by hash.

PYTHON ?= python3
UV_VERSION = 0.13.9

VENV = .venv
BIN = $(VENV)/bin
TRAINERS = .venv-trainers
PIP = $(BIN)/python -m pip --disable-pip-version-check --quiet
INSTALL = $(PIP) install --no-build-isolation
INSTALL_TRAINERS = $(TRAINERS)/bin/python -m pip --disable-pip-version-check --quiet install --no-build-isolation
RESOLVE = $(BIN)/uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

# Stages are commands that DVC starts by name.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DVC_NO_ANALYTICS = 1
export GX_ANALYTICS_ENABLED = false

.DEFAULT_GOAL = help
.DELETE_ON_ERROR:
.PHONY: help setup setup-dev repro test test-fast test-trainers check format demo bench lock clean

help:  ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1 @\2/p' Makefile | awk -F@ '{printf "%-18s %s\n", $$1, $$2}'

setup: $(VENV)/.setup  ## create .venv with what requirements.lock pins, and the project

setup-dev: $(VENV)/.setup-dev  ## the same, and what tests and checks need

repro: setup  ## check the project, and rebuild the dataset: every stage that is out of date
	$(BIN)/pairtrail check --allow-stale
	$(BIN)/dvc repro

test: setup-dev  ## run all tests, with branch coverage
	$(BIN)/pytest -n 2 --dist loadgroup --cov

test-fast: setup-dev  ## run the tests that take less than a few seconds each
	$(BIN)/pytest -n 2 --dist loadgroup -m "not slow"

test-trainers: $(TRAINERS)/.setup  ## load exports with the trainers' own libraries, in a venv of their own
	HF_HUB_OFFLINE=1 $(TRAINERS)/bin/python -m pytest -m trainers tests/trainers

check: setup-dev  ## lint, format, types, and who imports whom
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup-dev  ## format the code, and mend what the linter can mend
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

demo: setup  ## write a sample of synthetic logs into demo/
	$(BIN)/pairtrail demo --out demo

bench: setup  ## measure each stage against a floor, on generated logs of 2 GB (about a quarter of an hour)
	$(BIN)/python -m bench.run

lock: $(BIN)/uv  ## resolve both locks again; UPGRADE=1 takes the newest versions, else pins stay where they can
	$(RESOLVE) $(if $(UPGRADE),--upgrade) --group build pyproject.toml --output-file requirements.lock
	$(RESOLVE) $(if $(UPGRADE),--upgrade) --group dev --constraint requirements.lock --output-file tests/requirements.lock

clean:  ## remove .venv, .venv-trainers and caches; the dataset and DVC's cache stay
	rm -rf $(VENV) $(TRAINERS) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage .coverage.* .spill
	find pipeline schemas tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python $(TRAINERS)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { \
		echo "Python 3.11, 3.12 or 3.13 is needed, and $(PYTHON) is not; name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(@D)/..

# setuptools goes first: antlr4, which DVC needs, comes as source only, and a build must not fetch what nobody pinned.
# The locks are whole, so nothing is resolved: pip 23 would take the newest `coverage[toml]`, not the pinned one, and stop.
$(VENV)/.setup: requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing what requirements.lock pins into $(VENV); the first time this takes a minute or two."
	@sed -n '/^setuptools==/,/^    #/p' requirements.lock | $(INSTALL) --no-deps --require-hashes --requirement /dev/stdin
	@$(INSTALL) --no-deps --require-hashes --requirement requirements.lock
	@$(INSTALL) --no-deps --editable .
	@touch $@

$(VENV)/.setup-dev: tests/requirements.lock $(VENV)/.setup
	@echo "Installing what tests/requirements.lock pins into $(VENV)."
	@$(INSTALL) --no-deps --require-hashes --requirement tests/requirements.lock
	@touch $@

# What the locks pin holds here too. Loaders whose libraries pin versions older than ours come without what they ask for.
$(TRAINERS)/.setup: tests/trainers/requirements.txt tests/trainers/loaders.txt tests/requirements.lock requirements.lock \
		pyproject.toml | $(TRAINERS)/bin/python
	@echo "Installing the trainers' libraries into $(TRAINERS): some minutes, and 2 GB or more of disk."
	@sed -n '/^setuptools==/,/^    #/p' requirements.lock | $(INSTALL_TRAINERS) --no-deps --require-hashes --requirement /dev/stdin
	@$(INSTALL_TRAINERS) --no-deps --require-hashes --requirement requirements.lock
	@$(INSTALL_TRAINERS) --no-deps --require-hashes --requirement tests/requirements.lock
	@$(INSTALL_TRAINERS) --no-deps --editable .
	@sed -n 's/^\([a-z].*==[^\\]*\)\\\{0,1\}$$/\1/p' requirements.lock tests/requirements.lock > $(TRAINERS)/constraints.txt
	@$(INSTALL_TRAINERS) --constraint $(TRAINERS)/constraints.txt --requirement tests/trainers/requirements.txt
	@$(INSTALL_TRAINERS) --no-deps --requirement tests/trainers/loaders.txt
	@rm -rf $(TRAINERS)/lib/python3*/site-packages/tests  # two of them ship a package of that name, which would hide ours
	@touch $@

# Only who changes the locks needs a resolver, so it is in neither of them.
$(BIN)/uv: | $(BIN)/python
	@$(PIP) install uv==$(UV_VERSION)
