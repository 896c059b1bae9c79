# Everything runs in .venv, which `make setup` creates. `make` alone lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup tools demo test test-chaos test-full test-guest test-budget boards test-netlist test-boards release-check lint format docs figures figures-pcie budget bitstreams clean

VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.setup-done
PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11,$(shell $(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(p))))
EXTRAS := sim,orders
# Every dependency group that pyproject.toml defines (tests, linters, venues' own SDKs).
DEP_GROUPS = $(shell sed -n '/^\[dependency-groups\]/,/^\[tool/s/^\([a-z]*\) = \[.*/--group \1/p' pyproject.toml)
WORKERS ?= 2
BOARDS ?= ulx3s-85f ecpix5-85f
ARGS ?=

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/' | expand -t 20

tools:
	@missing=""; \
	[ -n "$(PYTHON)" ] || missing="$$missing python3.11-or-newer"; \
	for tool in g++ make perl; do command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	if [ -n "$$missing" ]; then \
	  echo "Missing:$$missing." >&2; \
	  echo "Install them first; on Debian or Ubuntu: sudo apt install g++ make perl python3 python3-venv" >&2; \
	  exit 1; \
	fi

$(STAMP): pyproject.toml | tools
	@echo "Preparing $(VENV) (about 1 GB from PyPI; a minute or two) ..." >&2
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV) || { \
	  rm -rf $(VENV); \
	  echo "Python cannot create a virtual environment; on Debian or Ubuntu: sudo apt install python3-venv" >&2; \
	  exit 1; }
	@$(BIN)/python -m pip install -qq --upgrade 'pip>=25.1' 'setuptools>=77'
	@$(BIN)/python -m pip install -qq --no-build-isolation --editable '.[$(EXTRAS)]' $(DEP_GROUPS)
	@touch $@

setup: $(STAMP) ## Create .venv and install everything (quick when done)

demo: setup ## Sign sample orders on the simulated board; ARGS="--device soft:" for software
	@$(BIN)/intaglio demo $(ARGS)

test: lint ## Lint, types and every test not marked slow
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest -n $(WORKERS) -m 'not slow' $(ARGS)

test-chaos: setup ## 100,000 requests for each kind of fault, on models; 300 on virtual boards
	@INTAGLIO_CHAOS_REQUESTS=$(or $(REQUESTS),100000) PATH="$(CURDIR)/$(BIN):$$PATH" \
	  $(BIN)/pytest -n $(WORKERS) --timeout 7200 tests/host/chaos $(ARGS)

test-full: setup ## The whole core at FULL_PROFILES="full ...", 256 signatures of each kind under stalls
	@INTAGLIO_PROFILES="$(or $(FULL_PROFILES),full)" PATH="$(CURDIR)/$(BIN):$$PATH" \
	  $(BIN)/pytest -m slow --timeout 3600 tests/cosim/test_profiles.py $(ARGS)

test-guest: setup ## A Linux guest drives the virtual PCIe board (needs mmdebstrap and Debian's mirrors)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest -m slow tests/pcie/test_guest.py $(ARGS)

boards: setup
	@$(BIN)/python -m pip install -qq --no-build-isolation --editable '.[boards]'

test-netlist: boards ## Netlists in simulation, before and after routing; PROFILE=full, ROUTED=FILE
	@INTAGLIO_PROFILE=$(or $(PROFILE),small) $(if $(ROUTED),INTAGLIO_ROUTED=$(abspath $(ROUTED))) \
	  PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest -m slow tests/cosim/test_netlist.py $(ARGS)

test-boards: boards ## Place and route small designs twice; block RAMs of all bitstreams
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest -m slow tests/hdl/boards $(ARGS)

release-check: boards ## As test-boards, and a stale bitstream is an error
	@INTAGLIO_RELEASE=1 PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest tests/hdl/boards $(ARGS)

# Amaranth and cocotb carry no types, so mypy checks what a host installs and not hdl/ and sim/.
lint: setup ## ruff, and mypy on the package as it is installed
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@rm -rf build
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation --target build/installed .
	@MYPYPATH=build/installed $(BIN)/mypy --exclude '/intaglio/(hdl|sim)/' -p intaglio

format: setup ## Rewrite the sources in the house format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: setup ## Refresh the generated tables of the READMEs
	@$(BIN)/python -m intaglio.wiredoc README.md
	@$(BIN)/python -m intaglio.sim.enginedoc hdl/README.md
	@$(BIN)/python -m intaglio.sim.perfdoc README.md
	@$(BIN)/python -m intaglio.sim.pcie_figures --save >/dev/null

figures: setup ## Simulate every profile under load again (an hour for all) and keep the figures
	@$(BIN)/intaglio perf --measure --save $(ARGS)

figures-pcie: boards ## Simulate, place and route the PCIe endpoint again (minutes) and keep the figures
	@$(BIN)/python -m intaglio.sim.pcie_figures --route --save

PROFILES ?= small
budget: boards ## Synthesise PROFILES="small ..." (half an hour each) and keep the cells of each unit
	@$(BIN)/python -m intaglio.sim.budget --synthesise $(PROFILES)

test-budget: boards ## Hold the committed cells of each unit against a new synthesis
	@$(BIN)/pytest -m slow tests/sim/test_budget.py $(ARGS)

bitstreams: boards ## Build the bitstreams (an hour); ARGS=--check compares, BOARDS="..." chooses
	@for board in $(BOARDS); do $(BIN)/intaglio build $$board $(ARGS); done
	@$(BIN)/python -m intaglio.hdl.boards.doc

clean: ## Remove .venv and everything built in this folder
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find host hdl sim tests -name __pycache__ -type d -prune -exec rm -rf {} +
