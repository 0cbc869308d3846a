# `make` alone lists the commands; those that take a while say how long each part took.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench faults lock clean

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
MEMBERS := libs/common libs/client libs/plugins services/gateway services/transcoder services/transcriber services/translator \
	services/recorder services/notifier deploy/local
PYTEST := $(BIN)/pytest

help: ## list the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1|/' | column -t -s '|'

setup: $(STAMP) ## make .venv with everything that is locked

# The lock's hashes are checked; the members are installed editable, without asking a registry for anything else.
$(STAMP): requirements.lock pyproject.toml $(addsuffix /pyproject.toml,$(MEMBERS))
	@began=$$SECONDS; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "Scribewire needs Python 3.11 or later; make PYTHON=/path/to/python3.12 names one" >&2; exit 1; }; \
	[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv \
		|| { echo "python3 -m venv failed; on Debian: apt install python3-venv" >&2; exit 1; }; \
	[ -x $(BIN)/uv ] || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv; \
	export VIRTUAL_ENV="$$PWD/.venv"; \
	if [ -t 1 ]; then quiet=; else quiet=--quiet; fi; \
	$(BIN)/uv pip install $$quiet --require-hashes -r requirements.lock; \
	$(BIN)/uv pip install --quiet --no-deps --no-build-isolation $(addprefix -e ,$(MEMBERS)); \
	touch $@; \
	echo "set-up: $$((SECONDS - began)) s"

demo: $(STAMP) ## start everything, send the samples, show what comes out, stop
	@$(BIN)/scribewire demo

test: $(STAMP) ## run every test
	@$(PYTEST) --numprocesses=2 --durations=10 $(ARGS)

check: $(STAMP) ## lint, format, types, walls between rooms, the contract
	@began=$$SECONDS; \
	$(BIN)/ruff check; \
	$(BIN)/ruff format --check; \
	$(BIN)/mypy; \
	$(BIN)/lint-imports; \
	$(BIN)/python -m common.contract check; \
	echo "check: $$((SECONDS - began)) s"

bench: $(STAMP) ## measure throughput and memory; the results lie in build/bench.json
	@status=0; PYTHONPATH=tests $(BIN)/python tests/bench || status=$$?; \
	PYTHONPATH=tests $(BIN)/python -m support.pages performance; exit $$status

faults: $(STAMP) ## the fault runs at full size (an hour and a half); the results lie in build/faults.json
	@[ -n "$(ARGS)" ] || rm -f build/faults.json
	@status=0; SCRIBEWIRE_FAULTS=full $(PYTEST) tests/faults -s $(ARGS) || status=$$?; \
	PYTHONPATH=tests $(BIN)/python -m support.pages reliability; exit $$status

lock: ## write requirements.lock anew from the pyproject files
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv
	@[ -x $(BIN)/uv ] || $(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv lock --quiet
	@$(BIN)/uv export --quiet --all-packages --no-emit-workspace --format requirements.txt -o requirements.lock
	@if grep -nE '://|--(extra-)?index|--find-links' requirements.lock; then \
		echo "requirements.lock names a host" >&2; exit 1; fi

clean: ## remove what was built; data of `scribewire up` stays
	@if [ -x $(BIN)/scribewire ] && [ -d build/demo ]; then SCRIBEWIRE_HOME="$$PWD/build/demo" $(BIN)/scribewire down; fi
	@if [ -L build/demo/postgres ]; then rm -rf "$$(readlink build/demo/postgres)"; fi
	@rm -rf .venv build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
