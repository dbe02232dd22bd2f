# The commands of this project. They need Python 3.11 or newer with its venv module. The first one sets up .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
READY := $(VENV)/ready

# Tests that name what an upgrade of a library broke.
CANARIES := tests/compat tests/client/compat tests/contract/compat

# The tests run side by side. A third of their time is waiting, so there are three processes more than there are cores.
# The quick ones need no port and no process, take no tenth of a second, and use one process for each core.
SIDE_BY_SIDE = -n $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 3)') --dist worksteal
QUICK := -n auto --dist worksteal -q -m "not (port or process or slow or container or browser)"

# The tests start many Pythons. Without compiled files each of them would compile every module again.
unexport PYTHONDONTWRITEBYTECODE

# In a new checkout each process of pytest would compile all tests. One does it for all of them, on a core that waits for
# mypy. What it cannot collect, the run itself reports.
COMPILED := $(VENV)/compiled

CHECK = $(MAKE) --no-print-directory --keep-going --jobs=7 lint layout types imports words spelling

# Each Python that loads Hypothesis would load Trio, which takes longer than Hypothesis itself.
export HYPOTHESIS_NO_PLUGINS := 1

.DEFAULT_GOAL := help
.PHONY: help demo example quick draws test check lint layout types imports words spelling format coverage versions docs pictures \
	bench bench-gate bench-baseline soak client-laws client-profiles gallery client-weather mutants mutants-at-large wheel newest lowest lock hashes sbom audit release clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' Makefile

demo: $(READY) ## run the demo
	$(BIN)/codeq-fake demo

example: $(READY) ## run the example application on the fake and call it
	PATH="$(CURDIR)/$(BIN):$$PATH" codeq-fake run -- client/examples/play.sh

quick: $(READY) ## run the tests that need no port and no process, and are not slow
	$(BIN)/python -m pytest $(QUICK)

draws: $(READY) ## run the quick tests with other drawn examples than those of each run
	$(BIN)/python -m pytest $(QUICK) --hypothesis-profile=drawn

test: $(READY) ## run all checks and all tests, side by side
	@$(CHECK) $(COMPILED)
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)

check: $(READY) ## run all checks that do not run the code, side by side
	@$(CHECK)

lint: $(READY)
	@$(BIN)/ruff check --quiet

layout: $(READY)
	@$(BIN)/ruff format --check --quiet

types: $(READY)
	@$(BIN)/mypy

imports: $(READY)
	@$(BIN)/lint-imports --no-logo

words: $(READY)
	@$(BIN)/python -m tools.words

spelling: $(READY)
	@$(BIN)/codespell

$(COMPILED): $(READY)
	@$(BIN)/python -m pytest --collect-only -qq >/dev/null; touch $@

format: $(READY) ## format the code and fix what can be fixed automatically
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

coverage: $(READY) ## run all tests and require every branch of the core
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage report

docs: $(READY) ## build the site in build/site; a dead link or an undocumented public name fails
	$(BIN)/python -m docs.site

pictures: $(READY) ## take the pictures of the page in docs/images; needs Chromium
	$(BIN)/python -m docs.pictures

versions: $(READY) ## run the quick tests on each Python from 3.11 to 3.14 that is found here
	$(BIN)/python -m tools.versions $(QUICK)

bench: $(READY) ## measure speed and size
	$(BIN)/python -m benchmarks

bench-gate: $(READY) ## measure, and fail for a row that is over 10 % worse than its stored ratio
	mkdir -p build
	$(BIN)/python -m benchmarks --json build/figures.json
	$(BIN)/python -m benchmarks.gate build/figures.json

bench-baseline: $(READY) ## measure three times on a quiet machine, and store the ratios
	mkdir -p build
	for run in 1 2 3; do $(BIN)/python -m benchmarks --json build/figures-$$run.json || exit 1; done
	$(BIN)/python -m benchmarks.gate --record build/figures-1.json build/figures-2.json build/figures-3.json

soak: $(READY) ## let hostile and sound clients use one server, for MINUTES=10
	$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),10)

client-laws: $(READY) ## kill and stop the workers and the server of a real CodeQ: SERVER=./codeq-server
	$(if $(SERVER),,$(error client-laws needs SERVER=PATH, a build of CodeQ's server, and redis-server))
	$(BIN)/python -m tests.client.laws_on_server --server $(SERVER)

client-profiles: $(READY) ## run the client's quick tests on fakes of the main branch, with Redis and with its embedded store
	$(BIN)/python -m pytest tests/client $(QUICK) -o codeq_profile=main/redis
	$(BIN)/python -m pytest tests/client $(QUICK) -o codeq_profile=main/pebble

gallery: $(READY) ## simulate the gallery of broken workers: MINUTES=30 (no bound) PROCESSES=2 (all cores)
	$(BIN)/python -m tests.simulation.gallery $(if $(MINUTES),--minutes $(MINUTES)) $(if $(PROCESSES),--processes $(PROCESSES))

client-weather: $(READY) ## simulate our client in bad weather: RUNS=100000 MINUTES=60 FIRST_SEED=0 PROCESSES=2 (all cores)
	$(BIN)/codeq-fake simulate tests/simulation/test_client.py --compare --runs $(or $(RUNS),100000) \
		--minutes $(or $(MINUTES),60) --first-seed $(or $(FIRST_SEED),0) $(if $(PROCESSES),--processes $(PROCESSES))

mutants: $(READY) ## run the suite on fakes with a defect each and print what kills it (FACT=K5.3 or K5)
	$(BIN)/python -m tests.mutants.run $(FACT)

mutants-at-large: $(READY) ## change the fake's rules by operators for MINUTES=20 and print what no case notices
	$(BIN)/python -m tests.mutants.at_large.run --minutes $(or $(MINUTES),20)

wheel: $(READY) ## build source archives and, from them, wheels into dist/: of the whole, and of the client alone
	$(BIN)/python -m build --no-isolation
	$(BIN)/python -m build --no-isolation --outdir dist client

# A separate environment with the newest versions of all dependencies.
NEWEST := build/newest
define install_newest
	rm -rf $(NEWEST)
	$(PYTHON) -m venv $(NEWEST)
	$(NEWEST)/bin/python -m pip install --quiet --upgrade pip hatchling
	$(NEWEST)/bin/python -m pip install --quiet --no-build-isolation --editable '.[contract]' --group dev
endef

newest: ## run the canaries, the plugin's and the quick tests with the newest versions of all dependencies
	$(install_newest)
	$(NEWEST)/bin/python -m pytest $(SIDE_BY_SIDE) $(CANARIES) tests/plugin
	$(NEWEST)/bin/python -m pytest $(QUICK)

lock: ## renew the versions in constraints.txt
	$(install_newest)
	sed -n 1p constraints.txt > build/constraints.txt
	$(NEWEST)/bin/python -m pip freeze --all --exclude-editable --exclude setuptools >> build/constraints.txt
	mv build/constraints.txt constraints.txt
	$(MAKE) --no-print-directory hashes sbom

# Tools for lock files, audits and the SBOM, in a separate environment.
SUPPLY := build/supply/bin
COMPILE := $(SUPPLY)/uv pip compile --quiet --no-annotate --no-header
$(SUPPLY)/uv:
	$(PYTHON) -m venv build/supply
	$(SUPPLY)/python -m pip install --quiet cyclonedx-bom pip-audit uv

hashes: $(SUPPLY)/uv ## renew the hashes of what the image installs, in the versions of constraints.txt
	$(COMPILE) --universal --generate-hashes --constraint constraints.txt --extra contract pyproject.toml \
		--output-file requirements.txt
	echo hatchling | $(COMPILE) --universal --generate-hashes --constraint constraints.txt - \
		--output-file requirements-build.txt

sbom: $(SUPPLY)/uv ## renew the list of components that the wheel contains
	$(SUPPLY)/uv venv --quiet --clear build/runtime
	$(SUPPLY)/uv pip install --quiet --python build/runtime --constraint constraints.txt --requirements pyproject.toml
	$(SUPPLY)/cyclonedx-py environment --pyproject pyproject.toml --mc-type library --output-reproducible --short-PURLs \
		--output-file sbom.cdx.json build/runtime/bin/python

lowest: $(SUPPLY)/uv ## run the quick tests with the lowest versions that pyproject.toml allows
	$(SUPPLY)/uv venv --quiet --clear build/lowest
	$(COMPILE) --resolution lowest-direct pyproject.toml --output-file build/lowest.txt
	$(SUPPLY)/uv pip install --quiet --python build/lowest --constraint build/lowest.txt --requirements pyproject.toml \
		--extra contract --group test --group lint
	$(SUPPLY)/uv pip install --quiet --python build/lowest --no-deps --editable .
	build/lowest/bin/python -m pytest $(QUICK) -W ignore::pytest.PytestRemovedIn10Warning

audit: $(SUPPLY)/uv ## look up known weaknesses of the versions in constraints.txt and of the lower bounds
	$(COMPILE) --resolution lowest-direct --extra contract --extra otel pyproject.toml --output-file build/lowest-all.txt
	$(SUPPLY)/pip-audit --strict --disable-pip --no-deps --requirement constraints.txt
	$(SUPPLY)/pip-audit --strict --disable-pip --no-deps --requirement build/lowest-all.txt

release: $(READY) ## check the tag TAG, and build what it releases into dist/
	$(BIN)/python -m tools.release '$(TAG)'
	rm -rf dist
	$(MAKE) --no-print-directory wheel

clean: ## remove everything that these targets made, including .venv
	rm -rf $(VENV) build dist .cache .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache

$(READY): pyproject.toml constraints.txt | $(BIN)/pip
	$(PIP) install --constraint constraints.txt pip hatchling
	$(PIP) install --constraint constraints.txt --no-build-isolation --editable '.[contract]' --group dev
	touch $@

# A new environment gets pip last. Where pip is missing, the environment is incomplete.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed; try: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
