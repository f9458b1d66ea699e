SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
BIN := .venv/bin

# Tests start hundreds of processes: whatever the shell says, none of them compiles again what another has compiled.
unexport PYTHONDONTWRITEBYTECODE

# ---- Set up

.PHONY: help setup emulators minio lock stubs clean check fmt docs test-quick test test-all conformance chaos drills fuzz bench run image
help:  ## this list
	@awk -F':.*## ' '/^# ---- /{printf "\n%s\n", substr($$0, 8)} /^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' \
	  $(firstword $(MAKEFILE_LIST))

setup: .venv/.installed .venv/.stubs  ## a virtual environment from the lock, and the stubs

emulators: .venv-emulators/.synced  ## an environment of their own for servers that pin what we use, too; tests need it

# Built from source, because nobody publishes it as a program any more; Go checks the module against its public log of
# checksums. It stays beside the checkout, and is built again where this version changes.
MINIO := v0.0.0-20260212201848-7aac2a2c5b7c
minio: .minio/$(MINIO)  ## MinIO, which some long tests are for: needs Go, takes minutes the first time

GROUPS := build dev registry executor artifacts resources ledger processors
lock: .venv/.synced  ## resolve again, keeping the pins; UPGRADE=name lets one move, UPGRADE=all lets all
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header $(GROUPS:%=--group %) \
	  $(if $(filter all,$(UPGRADE)),--upgrade,$(UPGRADE:%=--upgrade-package %)) pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 --group emulators \
	  $(if $(filter all,$(UPGRADE)),--upgrade,$(UPGRADE:%=--upgrade-package %)) -o requirements.emulators.lock

stubs: .venv/.installed  ## generate theory/api from protos/ again
	$(BIN)/python hatch_build.py
	@touch .venv/.stubs

clean:  ## remove what the verbs made: environment, stubs, caches, builds
	rm -rf .venv .venv-emulators .minio theory/api dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- Judge

check: setup  ## what needs no running code: style, types, import contracts, protos, documents
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code
	@tag=$$(git tag --list 'api/v1.*' --sort=-version:refname | head -n 1); \
	  if [ -n "$$tag" ]; then echo "buf breaking against $$tag"; $(BIN)/buf breaking --against ".git#tag=$$tag"; \
	  else echo "buf breaking: no api/v1.* tag yet, nothing is promised"; fi
	$(BIN)/python -m deploy.reference --check
	$(BIN)/python -m tests.docs_drift
	$(BIN)/python -m tests.conformance --check

fmt: setup  ## write what check would demand of format
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .
	$(BIN)/buf format --write

# Tests are shared out among processes (tests/parallel.py). Those with servers wait for them most of their time: one
# process more than there are cores keeps the cores at work.
JOBS ?= logical
WAITING_JOBS := $(if $(filter logical,$(JOBS)),$(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1))),$(JOBS))
SHARED := -n $(WAITING_JOBS) --maxprocesses 4

# No servers, no engine. A folder that does not exist yet is passed over. Of chaos only the judges: what they judge is a
# drill, and takes long to import.
QUICK := $(wildcard $(addprefix tests/,unit vectors contract properties architecture))
QUICK += $(filter-out %/test_chaos.py,$(wildcard tests/chaos/test_*.py))
test-quick: setup  ## rules, vectors, contracts, properties, architecture; no servers, about 30 s
	$(BIN)/pytest -q -n $(JOBS) --maxprocesses 4 -m "not slow and not docker and not drill and not long" $(QUICK)

test: setup emulators  ## everything that starts on this machine, within 10 minutes; what is missing is named at the end
	$(BIN)/pytest -q $(SHARED) -m "not long"

test-all: setup emulators  ## the long drills, too; and MinIO, where there is Go
	@command -v go > /dev/null && $(MAKE) --no-print-directory minio || echo "MinIO was not built: what needs it is skipped"
	$(BIN)/pytest -q $(SHARED)

conformance: setup emulators  ## every adapter x every promise, over a socket
	$(BIN)/pytest -q $(SHARED) -m "not long" tests/conformance

chaos: setup emulators  ## stores killed again and again under load, then judged by what clients saw; ONLY="sqlite redis"
	$(BIN)/python -m tests.chaos $(ONLY)

drills: setup  ## executors, ledgers and their servers killed at every point and pair of points, with figures; ONLY="claimed settled"
	$(BIN)/python -m tests.drills $(ONLY)

FUZZ_S ?= 30
fuzz: setup  ## texts near the vectors against the grammar, the keys, strict JSON and YAML, bodies of events; FUZZ_S=seconds each, ONLY="path yaml"
	$(BIN)/python -m tests.fuzz --seconds $(FUZZ_S) $(ONLY)

bench: setup  ## the measured hot paths, as ratios within one run
	$(BIN)/python -m tests.bench

# ---- Use

run: setup  ## the demo, embedded, state in ./.theory; RUNTIME=local|process|mock (local where an engine answers)
	@deploy/run.sh $(RUNTIME)

docs: setup  ## write docs/reference again, then judge the documents: links, numbers, words
	$(BIN)/python -m deploy.reference
	$(BIN)/python -m tests.docs_drift

# The image needs a Python base: BASE=name, of the first stage and the second.
BASE ?= python:3.11-slim
image: setup  ## the image of one service: SERVICE=ledger, BASE=an image with Python 3.11 or newer
	@test -f "services/$(SERVICE)/__main__.py" || { echo "SERVICE=name, one of:" $$(ls services/*/__main__.py | cut -d/ -f2); exit 2; }
	if [ -f "$${SSL_CERT_FILE:-}" ]; then cp "$$SSL_CERT_FILE" .venv/ca.crt; else rm -f .venv/ca.crt; fi
	docker build --file deploy/images/service.Dockerfile --build-arg BASE=$(BASE) --build-arg SERVICE=$(SERVICE) \
	  --tag theory-$(SERVICE) .

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

.venv-emulators/.synced: requirements.emulators.lock | .venv/.synced
	test -x .venv-emulators/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python .venv-emulators
	VIRTUAL_ENV=.venv-emulators $(BIN)/uv pip sync --quiet --require-hashes requirements.emulators.lock
	@touch $@

.minio/$(MINIO):
	@mkdir -p .minio
	GOBIN=$(CURDIR)/.minio CGO_ENABLED=0 nice go install -trimpath -ldflags "-s -w" github.com/minio/minio@$(MINIO)
	@touch $@

# The stubs were removed by hand.
.PHONY: missing

# `find` at each start: a proto that is new, changed or gone makes the stubs old.
PROTOS := $(shell find protos -name '*.proto' 2>/dev/null) $(shell find protos -type d 2>/dev/null)
.venv/.stubs: .venv/.installed $(PROTOS) $(if $(wildcard theory/api/__init__.py),,missing)
	$(BIN)/python hatch_build.py
	@touch $@
