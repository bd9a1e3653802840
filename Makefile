# Everything a developer types. Needs python3 (3.10 to 3.13) and make; the rest
# is installed into .venv, once, and again when pyproject.toml changes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test gen lint types clean

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# One stamp a set of extras: the second run of a target skips its set-up.
$(VENV)/.examples $(VENV)/.test: $(VENV)/.%: pyproject.toml
	@echo "== set-up: $(VENV) with the extra '$*'"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

demo: $(VENV)/.examples ## Run both examples against the embedded service
	@echo "== examples/simple_execution.py"
	@$(BIN)/python examples/simple_execution.py
	@echo
	@echo "== examples/streaming_audio.py, with examples/data/speech.wav"
	@$(BIN)/python examples/streaming_audio.py examples/data/speech.wav

gen: $(VENV)/.test ## Generate remotemedia/v1 from protos/
	@echo "== generate"
	@$(BIN)/python -m codegen

lint: $(VENV)/.test ## Check style and formatting
	@echo "== ruff"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/.test ## Check types with mypy and pyright
	@echo "== mypy"
	@$(BIN)/mypy
	@echo "== pyright"
	@$(BIN)/basedpyright
	@echo "== pyright: the public types are complete"
	@# It looks for the package where the first python of the path does.
	@PATH="$(CURDIR)/$(BIN):$$PATH" basedpyright --verifytypes remotemedia --ignoreexternal

test: $(VENV)/.test ## Check generation, style and types, and run the tests
	@echo "== generated code is what the protos give"
	@$(BIN)/python -m codegen --check
	@$(MAKE) --no-print-directory lint types
	@echo "== pytest"
	@$(BIN)/python -m pytest

clean: ## Remove the set-up and everything that tools left
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
