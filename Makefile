SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
BIN := .venv/bin

# ---- Set up

.PHONY: help setup lock stubs clean
help:  ## this list
	@awk -F':.*## ' '/^# ---- /{printf "\n%s\n", substr($$0, 8)} /^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' \
	  $(MAKEFILE_LIST)

setup: .venv/.installed .venv/.stubs  ## a virtual environment from the lock, and the stubs

GROUPS := build dev registry executor artifacts resources ledger processors
lock: .venv/.synced  ## resolve again, keeping the pins; UPGRADE=name lets one move, UPGRADE=all lets all
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header $(GROUPS:%=--group %) \
	  $(if $(filter all,$(UPGRADE)),--upgrade,$(UPGRADE:%=--upgrade-package %)) pyproject.toml -o requirements.lock

stubs: .venv/.installed  ## generate theory/api from protos/ again
	$(BIN)/python hatch_build.py
	@touch .venv/.stubs

# A bare machine has no uv: pip installs that one package, by the hash in the lock, and uv the rest.
PYTHON ?= python3
.venv/.synced: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Theory needs Python 3.11 or newer (make setup PYTHON=...)")'
	test -x $(BIN)/uv || { \
	  $(PYTHON) -m venv .venv && \
	  awk '/^[a-z0-9]/ {take = /^uv==/} take' requirements.lock > .venv/uv.lock && \
	  $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r .venv/uv.lock; }
	VIRTUAL_ENV=.venv $(BIN)/uv pip sync --quiet --require-hashes requirements.lock
	@rm -f .venv/.installed  # sync removes what the lock does not name, the project included
	@touch $@

.venv/.installed: .venv/.synced hatch_build.py pyproject.toml
	VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@ .venv/.stubs

# `find` at each start: a proto that is new, changed or gone makes the stubs old.
PROTOS := $(shell find protos -name '*.proto' 2>/dev/null) $(shell find protos -type d 2>/dev/null)
.venv/.stubs: .venv/.installed $(PROTOS)
	$(BIN)/python hatch_build.py
	@touch $@
