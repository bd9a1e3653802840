# Every command of a developer. It needs python3 (3.10 to 3.13) and make; everything else
# is installed into .venv, once, and again when pyproject.toml changes.

PYTHON ?= python3
VENV := .venv
FUZZ_SECONDS := 60
BIN := $(VENV)/bin
# GNU make 4 can keep the output of parallel jobs apart; make 3.81 of macOS cannot.
OUTPUT_SYNC := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

# The tests run in a process for each core, and in four at most: each process has to
# import and collect everything before it runs its share.
PYTEST := $(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=worksteal
# The tests of what depends on the versions of packages.
LOWEST := $(addprefix tests/,test_audio.py test_audio_files.py test_client.py \
	test_manifest.py test_otel.py testing/test_audio_nodes.py cli grpc http2 \
	project/test_release.py)
# Where this is set, each process compiles the library and the tests again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo check test test-all test-fast test-lowest lowest gen gen-check
.PHONY: lint mypy types release-check bench conformance connect-conformance docs docs-serve fuzz wasm clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-19s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# One stamp file for each set of extras, so that the second run of a target skips set-up.
$(addprefix $(VENV)/.,docs examples test release fuzz): $(VENV)/.%: pyproject.toml
	@echo "== set-up: $(VENV) with the extra '$*'"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

demo: $(VENV)/.examples ## Run two examples against the embedded service
	@echo "== examples/simple_execution.py"
	@$(BIN)/python examples/simple_execution.py
	@echo
	@echo "== examples/streaming_audio.py, with examples/data/speech.wav"
	@$(BIN)/python examples/streaming_audio.py examples/data/speech.wav

gen: $(VENV)/.test ## Generate remotemedia/v1 and data_v1 from protos/
	@echo "== generate"
	@$(BIN)/python -m codegen
	@$(BIN)/python -m codegen.descriptors

gen-check: $(VENV)/.test ## Show what `make gen` would change
	@$(BIN)/python -m codegen --check
	@$(BIN)/python -m codegen.descriptors --check

lint: $(VENV)/.test ## Check style and formatting
	@echo "== ruff"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

mypy: $(VENV)/.test
	@echo "== mypy"
	@$(BIN)/mypy

types: mypy ## Check types with mypy and pyright
	@echo "== pyright"
	@$(BIN)/basedpyright
	@echo "== pyright: the public types are complete"
	@# It looks for the package in the environment of the first python on PATH.
	@PATH="$(CURDIR)/$(BIN):$$PATH" basedpyright --verifytypes remotemedia --ignoreexternal

# It is meant to run often, so it leaves out pyright, which takes half a minute.
check: $(VENV)/.test ## Check style, types with mypy, and run the tests that are not slow
	@$(MAKE) --no-print-directory --jobs=2 --keep-going $(OUTPUT_SYNC) mypy test-fast lint

test-fast: $(VENV)/.test
	@echo "== pytest, without the slow tests"
	@$(PYTEST) -q -m "not slow"

# It has an environment of its own. pip warns that tools for development want newer ones.
test-lowest: ## Run tests with the lowest versions of packages that are allowed
	@$(MAKE) --no-print-directory VENV=.venv-lowest lowest

lowest: $(VENV)/.test
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		$$($(BIN)/python -m release.bounds)
	@echo "== pytest, with the lowest versions"
	@$(PYTEST) -q $(LOWEST)

test-all: $(VENV)/.test
	@echo "== pytest"
	@$(PYTEST) -q

test: $(VENV)/.test ## Check generated code, style and types, and run all tests
	@echo "== the generated code is up to date"
	@$(MAKE) --no-print-directory gen-check lint types test-all

release-check: $(VENV)/.release ## Build what a release publishes, and check it
	@$(BIN)/python -m release

docs: $(VENV)/.docs ## Build the site of the documents into build/docs
	@echo "== sphinx"
	@# Sphinx keeps the pages that no document has any more, and their entries.
	@rm -rf build/docs build/doctrees
	@$(BIN)/python -m sphinx --quiet --write-all --fail-on-warning --keep-going \
		--doctree-dir build/doctrees docs build/docs
	@echo "build/docs/index.html"

docs-serve: docs ## Build the site, and serve it at http://localhost:8000
	@$(BIN)/python -m http.server --bind 127.0.0.1 --directory build/docs 8000

bench: $(VENV)/.test ## Measure side by side with grpc.aio and stock betterproto
	@$(BIN)/python -m benchmarks.compare

conformance: $(VENV)/.test ## Run the official protobuf conformance suite
	@$(BIN)/python -m conformance

connect-conformance: $(VENV)/.test ## Run the Connect project's suite for gRPC clients
	@$(BIN)/python -m conformance.connect

fuzz: $(VENV)/.fuzz ## Fuzz the decoder and the transport, each for FUZZ_SECONDS
	@$(BIN)/python -m fuzz.fuzz_decode -max_total_time=$(FUZZ_SECONDS) -max_len=600
	@$(BIN)/python -m fuzz.fuzz_frames --seconds $(FUZZ_SECONDS)

# Each of these versions of the npm package pyodide has another version of CPython.
PYODIDE := 314.0.7 315.0.0-alpha.2

wasm: $(VENV)/.test build/wasm/site ## Run what needs no sockets on Python 3.14 and 3.15, by Node.js
	@$(MAKE) --no-print-directory --jobs=2 $(OUTPUT_SYNC) $(PYODIDE:%=wasm-%)

wasm-%: build/wasm/%
	@echo "== pytest, by pyodide $*"
	@node tests/wasm/run.mjs $</node_modules/pyodide build/wasm/site \
		$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

.PRECIOUS: build/wasm/%
build/wasm/%:
	@npm install --silent --no-save --prefix $@ pyodide@$*

# The other packages of .venv run there as they are. This is the last version of
# hypothesis that has no C extension.
build/wasm/site:
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --target $@ --no-deps \
		--only-binary=:all: --platform=any --implementation=py --abi=none hypothesis==6.155.7

clean: ## Remove .venv and all files that tools wrote
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
