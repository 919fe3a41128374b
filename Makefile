# Two commands matter: `make run` and `make test`. Both prepare .venv first.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: run test lint types unit format bench faults simulate screenshots texts docs clean

define prepare
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Governor needs Python 3.11 or newer: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Preparing $(VENV), once: this takes $(2)."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[$(1)]'
	@touch $@
endef

# What serving needs, which is there much sooner than what the checks and tests need besides.
$(VENV)/.program: pyproject.toml constraints.txt
	$(call prepare,mcp,a minute or two)

$(VENV)/.installed: pyproject.toml constraints.txt
	$(call prepare,dev,a few minutes)

# With Slack credentials: that workspace. Without: a local workspace in the browser.
run: $(or $(wildcard $(VENV)/.installed),$(VENV)/.program)
	@if [ -n "$$SLACK_BOT_TOKEN" ]; then exec $(BIN)/governor run; else exec $(BIN)/governor sandbox; fi

# The types are checked by one process: the tests begin beside it.
test: lint
	@$(MAKE) --no-print-directory --jobs=2 types unit

lint: $(VENV)/.installed
	$(BIN)/ruff format --check bot tests bench docs
	$(BIN)/ruff check bot tests bench docs
	$(BIN)/lint-imports

types: $(VENV)/.installed
	$(BIN)/mypy

# Many tests wait for servers rather than compute: three at a time keep two cores busy. Their databases lie in
# memory where 8 GB of it are free.
unit: $(VENV)/.installed
	@free=$$(df --output=avail -k /dev/shm 2>/dev/null | tail -1); \
	if [ "$${free:-0}" -gt 8000000 ]; then \
		folder=$$(mktemp -d /dev/shm/governor.XXXXXX); chmod 1777 "$$folder"; \
		trap 'rm -rf "$$folder"' EXIT; export TMPDIR="$$folder"; \
	fi; \
	$(BIN)/pytest --numprocesses 3

format: $(VENV)/.installed
	$(BIN)/ruff format bot tests bench docs
	$(BIN)/ruff check --fix bot tests bench docs

bench: $(VENV)/.installed
	$(BIN)/python -m bench

# Ten minutes of kills, halts and outages of three replicas with 2,000 services, and an account of all that was done.
faults: $(VENV)/.installed
	$(BIN)/python -m bench.faults

# How often chance alone freezes a service or takes a flag back: the table of the tests, with many more runs.
simulate: $(VENV)/.installed
	$(BIN)/python -m tests.support.decision_simulation

screenshots: $(VENV)/.installed
	$(BIN)/python -m tests.stories.visitor

# Every text that people read, in reading order.
texts: $(VENV)/.installed
	@$(BIN)/python -m tests.texts

# The site of the documentation, in build/site: open build/site/index.html.
docs: $(VENV)/.installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

clean:
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache build *.egg-info
