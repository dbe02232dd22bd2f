# Everything there is to run. Needs Python 3.11 or newer with its venv module; the set-up happens in .venv, once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
READY := $(VENV)/ready

# The tests start some hundred Pythons, each of which would compile all anew; pytest rewrites our packages, too.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo example test check format coverage bench soak mutants wheel lock clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' Makefile

demo: $(READY) ## play a task's whole life on the fake
	$(BIN)/codeq-fake demo

example: $(READY) ## run the example application on the fake, and call it
	PATH="$(CURDIR)/$(BIN):$$PATH" codeq-fake run -- client/examples/play.sh

test: check ## run every check and every test
	$(BIN)/python -m pytest

check: $(READY) ## run what reads the code without running it
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(READY) ## lay the code out and mend what can be mended
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

coverage: $(READY) ## run every test and demand each branch of the core
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage report

bench: $(READY) ## measure speed and size
	$(BIN)/python -m benchmarks

soak: $(READY) ## let hostile and sound clients use one server, for MINUTES=10
	$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),10)

mutants: $(READY) ## build defects into the fake, and see the suite catch each
	$(BIN)/python -m tests.mutants.run

wheel: $(READY) ## build the source archive, and the wheel from it, into dist/
	$(BIN)/python -m build --no-isolation

lock: $(READY) ## renew the versions in constraints.txt
	rm -rf build/lock
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --upgrade pip hatchling
	build/lock/bin/python -m pip install --quiet --no-build-isolation --editable '.[contract]' --group dev
	sed -n 1p constraints.txt > build/constraints.txt
	build/lock/bin/python -m pip freeze --all --exclude-editable --exclude setuptools >> build/constraints.txt
	mv build/constraints.txt constraints.txt

clean: ## remove all that these targets made, .venv too
	rm -rf $(VENV) build dist .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache

$(READY): pyproject.toml constraints.txt | $(BIN)/pip
	$(PIP) install --constraint constraints.txt pip hatchling
	$(PIP) install --constraint constraints.txt --no-build-isolation --editable '.[contract]' --group dev
	touch $@

# pip comes last into a new environment: where it is missing, the environment was never finished.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed; try: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
