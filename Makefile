# Everything a developer does. A fresh machine needs only Python 3.11+ and git.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

.PHONY: install demo test lint types layers format bench recording clean

install: $(VENV)/.installed

demo: install  ## the quickstart: no key needed, under two minutes
	$(BIN)/loopsmith run workflows/quickstart/WORKFLOW.md --new

test: install
	$(BIN)/python -m pytest -n 2

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

layers: install
	$(BIN)/python -m pytest tests/test_layers.py

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install
	$(BIN)/python benchmarks/overhead.py

recording: install  ## the recorded campaign of the tests, again: needed when prompts change
	PYTHONPATH=tests $(BIN)/python tests/recorded.py

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis
