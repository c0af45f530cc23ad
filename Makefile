# The project's tasks, the same for a person, a hook and CI. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# The first interpreter that runs and that mage-ai supports; override with PYTHON=…
SUPPORTED := import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))
PYTHON ?= $(shell for p in python3 python3.12 python3.11 python3.10; do \
	$$p -c '$(SUPPORTED)' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
MUTANTS := .venv-mutants
TABLES := .venv-tables

export PYTHONWARNINGS ?= ignore::SyntaxWarning

.PHONY: help run up demo-drift test test-fast lint format bench mutants lock clean

help: ## list the tasks
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: $(RUNTIME) ## run the main job on the bundled sample, from raw trips to predictions
	@$(BIN)/mlops run --source sample

up: $(RUNTIME) ## start Mage's editor, its scheduler and the MLflow UI
	@$(BIN)/mlops up

demo-drift: $(RUNTIME) ## simulate drift, and watch it being detected and the model retrained (two minutes)
	@$(BIN)/python -m demo

# Test files run in parallel, one per core, so that fixtures of a file are built once.
SIDE_BY_SIDE := -n auto --dist loadfile

test: $(DEV) ## run every test
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE)

test-fast: $(DEV) ## run the tests that need neither Mage nor a browser
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not mage and not browser"

lint: $(DEV) ## check style, types and the trigger files
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/mlops triggers --lint

format: $(DEV) ## format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(DEV) ## measure side by side, and write benchmarks/RESULTS.md
	@$(BIN)/python -m benchmarks

# The tool and its packages stay out of the environment of the project.
mutants: $(MUTANTS)/.ready ## measure which faults the tests do not detect (hours; PACKAGE=mlops/records limits it)
	@nice -n 10 $(MUTANTS)/bin/python -m benchmarks.mutants $(PACKAGE) \
		$(if $(AGAIN),--again) $(if $(SAMPLE),--sample $(SAMPLE))

lock: $(DEV) ## resolve the lock files again (hashes and versions, no addresses)
	@uv() { $(BIN)/uv pip compile -q --universal --python-version 3.10 --generate-hashes \
		--no-emit-index-url --no-annotate --no-header "$$@"; }; \
	uv requirements/bootstrap.in -o requirements/bootstrap.txt && \
	uv pyproject.toml -o requirements/runtime.txt && \
	uv --extra dev -c requirements/runtime.txt pyproject.toml -o requirements/dev.txt && \
	uv -c requirements/runtime.txt requirements/serving.in -o requirements/serving.txt && \
	uv -c requirements/dev.txt requirements/mutants.in -o requirements/mutants.txt && \
	uv -c requirements/dev.txt requirements/tables.in -o requirements/tables.txt

clean: ## remove the environment and all state
	rm -rf $(VENV) $(MUTANTS) $(TABLES) .mutants .mlops .mlops-demo .mlops-demo.lock .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info

$(VENV)/.bootstrap: requirements/bootstrap.txt
	@test -n "$(PYTHON)" || { echo "No Python 3.10, 3.11 or 3.12 found: install one, or run make PYTHON=/path/to/python"; exit 1; }
	@"$(PYTHON)" -c '$(SUPPORTED)' 2>/dev/null || { echo "PYTHON=$(PYTHON): this is not a Python 3.10, 3.11 or 3.12 with the module venv." \
		"Its answer to --version: $$("$(PYTHON)" --version 2>&1 | head -1)"; exit 1; }
	@echo "Creating the environment with $$($(PYTHON) --version) in $(VENV) …"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@touch $@

# Bytecode is compiled once here: without it Mage's first import takes three times as long.
$(RUNTIME): $(VENV)/.bootstrap requirements/runtime.txt pyproject.toml
	@echo "Installing the locked packages (about half a minute) …"
	@$(BIN)/uv pip install -q --python $(BIN)/python --compile-bytecode --require-hashes -r requirements/runtime.txt
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): $(RUNTIME) requirements/dev.txt
	@$(BIN)/uv pip install -q --python $(BIN)/python --compile-bytecode --require-hashes -r requirements/dev.txt
	@touch $@

$(MUTANTS)/.ready: $(VENV)/.bootstrap requirements/dev.txt requirements/mutants.txt
	@echo "Creating the environment of the mutants in $(MUTANTS) (about a minute) …"
	@$(PYTHON) -m venv $(MUTANTS)
	@$(BIN)/uv pip install -q --python $(MUTANTS)/bin/python --compile-bytecode --require-hashes -r requirements/dev.txt -r requirements/mutants.txt
	@touch $@
