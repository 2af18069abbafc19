# Every target makes the virtual environment if it is missing. Needs Python 3.11 or newer and nothing else.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# Idle OpenMP threads that spin slow a busy machine by up to 200 times.
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: demo test check format site clean

demo: $(INSTALLED) ## run, store and site on the embedded dataset
	$(BIN)/adbench demo

# A process a core, one thread each: most tests wait for processes that they start.
test: $(INSTALLED) ## the tests that take seconds
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist worksteal -m "not gpu and not slow"

check: $(INSTALLED) ## lint, format, types, contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

site: $(INSTALLED) ## render the leaderboard of ./adbench-results into ./site
	$(BIN)/adbench leaderboard build --out site

clean:
	rm -rf $(VENV) adbench-demo site .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; say which with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@
