# `make demo` runs the main job, `make test` passes the tests; both set up what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint types unit oldest format clean

# All that tables and texts need.
$(VENV)/core: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	touch $@

$(VENV)/ready: $(VENV)/core
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[image]" --group dev
	touch $@

demo: $(VENV)/core
	$(BIN)/tailwise demo --output demo-out --force

# The second environment is made beside the checks, which need one core.
test:
	$(MAKE) -j 2 lint types $(VENV)-oldest/ready
	$(MAKE) unit oldest

lint: $(VENV)/ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

types: $(VENV)/ready
	$(BIN)/mypy

# Two processes fill two cores; threads in each would only wait for one another.
unit oldest: export OMP_NUM_THREADS = 1

unit: $(VENV)/ready
	$(BIN)/pytest -n 2

# What packages do for us once more, by the oldest releases that are supported.
$(VENV)-oldest/ready: pyproject.toml constraints.txt constraints-oldest.txt
	$(PYTHON) -m venv $(VENV)-oldest
	$(VENV)-oldest/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(VENV)-oldest/bin/python -m pip install --quiet -c constraints.txt -c constraints-oldest.txt -e . --group test
	touch $@

oldest: $(VENV)-oldest/ready
	$(VENV)-oldest/bin/pytest -n 2 -m "not slow" tests/estimators tests/resample tests/recipes tests/data

format: $(VENV)/ready
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf $(VENV) $(VENV)-oldest demo-out .pytest_cache .mypy_cache .ruff_cache .hypothesis
