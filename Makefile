# Two commands: `make run` plays the nightly job, `make test` proves the system. Everything else helps.
PYTHON ?= python3.11
VENV := .venv
PY := $(VENV)/bin/python
UV_VERSION := 0.13.8
DAYS ?= 0
PROFILE ?= fast
export AIOS_PROFILE ?= $(PROFILE)

.PHONY: help install run test test-fast lint ui services bench bench-edi bench-night bench-forecast bench-planning bench-gates fuzz lock clean

help: ## Say what can be done here
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

$(VENV)/.installed: requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) not found. To do: install Python 3.11, or call make PYTHON=/path/to/python3.11"; exit 2; }
	@echo "==> environment (once, about a minute)"
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/uv --version >/dev/null 2>&1 || $(PY) -m pip install --quiet uv==$(UV_VERSION)
	@VIRTUAL_ENV=$(VENV) $(VENV)/bin/uv pip install --quiet --compile-bytecode --require-hashes -r requirements.lock
	@VIRTUAL_ENV=$(VENV) $(VENV)/bin/uv pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

install: $(VENV)/.installed ## Make the environment from requirements.lock

run: install ## Play the nightly job on the sandbox network (DAYS=3 plays three more nights)
	@$(VENV)/bin/aios run --days $(DAYS)

ui: install ## Dagster UI on port 3000, MLflow UI on port 5000, report pages on port 5001, on the data of the last run
	@$(VENV)/bin/aios ui

test: install lint ## All tests
	@$(PY) -m pytest tests -n 2 --dist loadfile --no-loadscope-reorder --durations=15

test-fast: install ## Unit and contract tests only
	@$(PY) -m pytest tests/unit tests/contracts -n 2

lint: install ## ruff, mypy and the import law
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports --no-cache

services: ## Install and start PostgreSQL, Redis, NATS and Mosquitto from Debian's packages
	@bash docs/services.sh

bench: bench-night bench-edi bench-forecast bench-planning bench-gates ## All benchmarks
bench-night bench-edi bench-forecast bench-planning bench-gates: install ## One benchmark, with its peers in the same run
	@$(PY) -m benchmarks.$(subst -,_,$@)

fuzz: install ## Ten minutes of fuzzing the EDI reader
	@$(PY) -m pytest tests/fuzz_edi.py -q --timeout 900

lock: ## Resolve requirements.lock anew from pyproject.toml
	@uv pip compile pyproject.toml --extra dev --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header -q -o requirements.lock

clean: ## Remove the environment and all local data
	@rm -rf $(VENV) .aios
