# Everything a newcomer types. Needs git, make and Python 3.11 to 3.13 with venv and pip; all else comes from PyPI, once, at set-up,
# or from a mirror of it, where uv or pip are told of one.
#
#   UV_DEFAULT_INDEX=https://mirrors.aliyun.com/pypi/simple make setup
#   make PYTHON=python3.12 run       another Python
#   make XIANBAO_HOME=/srv/home run  another home than this checkout
#   make DEV_PORT=3100 dev           another port

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
UV_VERSION := 0.13.9
DEV_HOST ?= 127.0.0.1
DEV_PORT ?= 3000

XIANBAO_HOME ?= $(CURDIR)
# Several processes use it, each from a folder of its own.
override XIANBAO_HOME := $(if $(filter /%,$(XIANBAO_HOME)),$(XIANBAO_HOME),$(CURDIR)/$(XIANBAO_HOME))
run dev: export XIANBAO_HOME := $(XIANBAO_HOME)
# Where Dagster finds its configuration, and where it keeps its state.
dev: export DAGSTER_HOME := $(CURDIR)
dev: export XIANBAO_STATE := $(XIANBAO_HOME)/warehouse/dagster
dev: export DAGSTER_DISABLE_TELEMETRY := 1
CENSUS := $(wildcard ../shared/data/census/census_county_2020_v1.xlsx)

# A process that may not write bytecode compiles every imported module again: minutes over a test run.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
UV := .venv-tools/bin/uv
TOOLS_STAMP := .venv-tools/.uv-$(UV_VERSION)
SETUP_STAMP := .venv/.set-up
SUPERSET_VERSION := 6.1.0
SUPERSET_STAMP := .venv-superset/.superset-$(SUPERSET_VERSION)
SUPERSET_OUT ?= .venv-superset/screenshots

# Where packages come from instead of PyPI: as uv is told, else as pip is.
INDEX := $(strip $(or $(UV_DEFAULT_INDEX),$(UV_INDEX_URL),$(PIP_INDEX_URL)))
ASK_PIP := .venv-tools/bin/python -m pip config get global.index-url 2>/dev/null
UV_SETTINGS := $(wildcard $(HOME)/.config/uv/uv.toml /etc/uv/uv.toml)

.PHONY: help setup run dev test test-all faults test-superset check format clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' Makefile | column -t -s "$$(printf '\t')" 2>/dev/null \
		|| sed -n 's/^\([a-z-]*\):[^#]*## /\1: /p' Makefile

setup: $(SETUP_STAMP) ## .venv from uv.lock, bytecode compiled, dbt manifest parsed

$(TOOLS_STAMP):
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || { \
		echo "Python 3.11, 3.12 or 3.13 is needed; '$(PYTHON)' is $$($(PYTHON) --version 2>/dev/null || echo missing)."; \
		echo "Install one, or name it: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; } >&2
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "'$(PYTHON)' cannot make virtual environments. On Debian: apt-get install python3-venv"; exit 1; } >&2
	rm -rf .venv-tools
	$(PYTHON) -m venv .venv-tools
	printf '*\n' > .venv-tools/.gitignore
	@.venv-tools/bin/pip install --quiet --disable-pip-version-check $(if $(INDEX),--index-url "$(INDEX)") uv==$(UV_VERSION)
	touch $@

$(SETUP_STAMP): $(TOOLS_STAMP) pyproject.toml uv.lock
	@# uv.lock names PyPI's own files, and uv sync takes them from nowhere else. From a mirror the same files are taken by their
	@# version and hash.
	@index="$(INDEX)"; [ -n "$$index" ] || index="$$($(ASK_PIP))"; \
	export UV_PYTHON_DOWNLOADS=never; set -e; \
	if [ -n "$$index" ] || grep -qsE '^ *(\[\[index\]\]|index-url|index *=)' $(UV_SETTINGS) /dev/null; then \
		unset UV_INDEX_URL; [ -z "$$index" ] || export UV_DEFAULT_INDEX="$$index"; \
		echo "Packages come from the mirror that uv or pip are told of."; \
		$(UV) venv --quiet --clear --python "$$(command -v $(PYTHON))" .venv; \
		$(UV) export --frozen --quiet --extra pipeline --no-emit-project --output-file .venv/locked.txt; \
		$(UV) pip install --require-hashes --no-deps --compile-bytecode --python $(BIN)/python -r .venv/locked.txt; \
		$(UV) pip install --quiet --no-deps --python $(BIN)/python --editable .; \
	else \
		$(UV) sync --frozen --extra pipeline --compile-bytecode --python "$$(command -v $(PYTHON))"; \
	fi
	$(BIN)/python -m pipelines.warehouse.dbt
	touch $@

run: setup ## write the synthetic sample, run the pipeline once, print the municipal indicators
	@# The sample is never written into a municipality of somebody's own: it keeps a ledger where it has been.
	@if [ ! -e "$(XIANBAO_HOME)/municipality.yaml" ] || [ -e "$(XIANBAO_HOME)/counties/.sample.json" ] \
		|| [ -e "$(XIANBAO_HOME)/counties/.sample-aside" ]; then \
		$(BIN)/xianbao sample $(if $(CENSUS),--census "$(CENSUS)"); \
	else \
		echo "$(XIANBAO_HOME)/municipality.yaml is not the sample's: running on what its counties sent."; \
	fi
	@$(BIN)/xianbao run

dev: setup ## Dagster webserver and daemon, sensor and schedules on, at http://127.0.0.1:3000
	@[ -e "$(XIANBAO_HOME)/municipality.yaml" ] || { \
		echo "No $(XIANBAO_HOME)/municipality.yaml. First: make run (the sample) or .venv/bin/xianbao init"; exit 1; } >&2
	@umask 077; mkdir -p "$(XIANBAO_STATE)"
	$(BIN)/dagster dev -m pipelines.definitions -h $(DEV_HOST) -p $(DEV_PORT)

test: setup ## the tests
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-all: setup ## the tests, with every further case of the long ones
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "long or not long"

faults: setup ## attacks, faults and slips of operation, each tried: a table of what came of it; FAULTS=--quick in two minutes
	@$(BIN)/python -m tests.faults $(FAULTS)

# Superset lives in an environment of its own; 6.1.0 leaves out some of what it imports.
$(SUPERSET_STAMP): $(TOOLS_STAMP)
	$(UV) venv --quiet --clear --python "$$(command -v $(PYTHON))" .venv-superset
	printf '*\n' > .venv-superset/.gitignore
	$(UV) pip install --quiet --python .venv-superset/bin/python "apache-superset[duckdb]==$(SUPERSET_VERSION)" \
		rich cachetools flask-caching==2.3.1 cachelib==0.13.0 playwright
	touch $@

test-superset: setup $(SUPERSET_STAMP) ## the bundle of bi/superset in a live Superset; screenshots in SUPERSET_OUT
	$(BIN)/python tests/superset/check.py --superset .venv-superset/bin --out "$(SUPERSET_OUT)"

check: setup ## lint, format, types, SQL lint, lock file in step; changes nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/sqlfluff lint --processes 0 --disable-progress-bar dbt_project/models dbt_project/macros
	env -u UV_DEFAULT_INDEX -u UV_INDEX_URL $(UV) lock --check --offline --no-config

format: setup ## put Python and SQL in shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/sqlfluff fix --disable-progress-bar dbt_project/models

clean: ## remove the environments and caches; raw/, warehouse/ and the configuration stay
	rm -rf .venv .venv-tools .venv-superset .pytest_cache .ruff_cache .mypy_cache .hypothesis dbt_project/target dbt_project/logs
	find pipelines tests -name __pycache__ -type d -prune -exec rm -rf {} +
