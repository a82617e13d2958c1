# `make` or `make help` lists what there is. CI runs `make check` and nothing else.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
PYTHON312 ?= python3.12
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
EEE := every-eval-ever==0.3.0
EEE_WHEEL := build/eee/every_eval_ever-0.3.0-py3-none-any.whl
CODE := runner tests scripts benchmarks

# A run of what ships with the package needs no network, and proves it by having none.
OFFLINE := HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1

.PHONY: help setup sandbox smoke test check style types layers format golden bench \
	campaign-equality campaign-kill campaign-slurm campaign-wheel campaign-export gpu-check lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 20

setup: $(STAMP) ## make .venv with the exact versions of requirements/hf.txt; again only when they change

$(STAMP): requirements/hf.txt pyproject.toml
	@echo "installing the exact versions of requirements/hf.txt into $(VENV): minutes the first time, then seconds"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -qq --disable-pip-version-check -r requirements/hf.txt
	$(BIN)/pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

# Debian packages for the stronger of the two sandboxes. Installed only by root, and only if it is missing; without it
# the other tier (Landlock and seccomp) marks programs, and the tests of this one are skipped and say so.
sandbox: ## bubblewrap and libseccomp by apt-get, if root and missing
	@if command -v bwrap >/dev/null; then exit 0; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing the Debian packages bubblewrap and libseccomp2"; \
	  { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y bubblewrap libseccomp2; } >/dev/null \
	    || echo "apt-get failed: going on without bubblewrap"; \
	else echo "no bubblewrap: sandboxed programs run under Landlock; as root: apt-get install bubblewrap libseccomp2"; fi

smoke: setup ## one whole run on a CPU, without a network, in seconds
	$(OFFLINE) $(BIN)/benchproof run smoke --new

test: setup $(EEE_WHEEL) ## the tests
	$(OFFLINE) $(BIN)/python -m pytest

# For the JSON Schemas inside, which exports are held against. Its code needs a newer Python: `make campaign-export` runs it.
$(EEE_WHEEL): | $(STAMP)
	$(BIN)/pip download -qq --disable-pip-version-check --no-deps --ignore-requires-python -d $(@D) $(EEE)

check: sandbox style types layers test ## what CI runs: format, lint, types, layers, tests (of docs/schemas too)

style: setup ## format and lint
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)

types: setup ## mypy, strict
	$(BIN)/mypy

layers: setup ## who may import whom (.importlinter)
	$(BIN)/lint-imports --no-logo

format: setup ## reformat, and mend what ruff can mend
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

golden: setup ## rewrite generated files (docs/schemas, tests/golden of this schema version) and show what changed
	$(BIN)/benchproof schema --write docs/schemas
	$(BIN)/python scripts/golden.py
	git --no-pager diff --stat -- docs/schemas tests/golden

bench: setup ## speed: start-up, verifying a record, building MMLU's requests (with the data of a folder `shared`)
	$(BIN)/python benchmarks/startup.py
	PYTHONPATH=tests $(BIN)/python benchmarks/verifying.py
	PYTHONPATH=tests $(BIN)/python benchmarks/building.py

campaign-equality: setup ## slow, not in check: equality with the harness's own path, and other tests marked `campaign`
	$(BIN)/python -m pytest -m campaign --ignore tests/path/test_kill.py

campaign-kill: setup ## slow, not in check: 200 runs killed with SIGKILL at random moments and resumed
	$(OFFLINE) $(BIN)/python -m pytest -m campaign tests/path/test_kill.py

campaign-slurm: setup ## slow, root: a run that a real one-node Slurm cuts twice (with `shared` beside the checkout)
	$(OFFLINE) PYTHONPATH=tests $(BIN)/python tests/campaigns/slurm.py

gpu-check: ## on a machine with a GPU: what only a GPU can show, as one JSON document (docs/gpu.md)
	$(OFFLINE) $(or $(wildcard $(BIN)/python),$(PYTHON)) scripts/gpu_check.py $(ARGS)

campaign-wheel: setup ## slow, not in check: the built wheel in a fresh environment and an empty folder
	rm -rf build/wheel
	mkdir -p build/wheel/empty
	$(BIN)/pip wheel -qq --disable-pip-version-check --no-deps --no-build-isolation -w build/wheel .
	$(PYTHON) -m venv build/wheel/venv
	build/wheel/venv/bin/pip install -qq --disable-pip-version-check \
		--constraint requirements/hf.txt "$$(ls "$$PWD"/build/wheel/benchproof-*.whl)[hf]"
	cd build/wheel/empty && $(OFFLINE) ../venv/bin/benchproof run smoke

campaign-export: setup ## slow, not in check: exports before other people's validators (PYTHON312: a Python 3.12 or newer)
	test -x build/eee/venv/bin/every_eval_ever || { mkdir -p build/eee && $(PYTHON312) -m venv build/eee/venv \
		&& build/eee/venv/bin/pip install -qq --disable-pip-version-check $(EEE); }
	PYTHONPATH=tests $(BIN)/python tests/campaigns/export.py

lock: setup ## rewrite requirements/ from the versions installed in .venv
	$(BIN)/python scripts/lock.py

clean: ## remove what was built, but .venv and results
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .benchmarks
