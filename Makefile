# Everything a developer does. A fresh machine needs only Python 3.11+ and git.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

.PHONY: install demo test agents gpu lint types layers format bench recording clean

install: $(VENV)/.installed

demo: install  ## the quickstart: no key needed, under two minutes
	$(BIN)/loopsmith run workflows/quickstart/WORKFLOW.md --new

test: install
	$(BIN)/python -m pytest -n 2

# The coding agents that npm (Node 20 or newer) and pip have, in a folder of their own, and campaigns with each.
AGENTS := .agents/node_modules/.bin
PROGRAMS := @openai/codex opencode-ai @anthropic-ai/claude-code @google/gemini-cli @github/copilot \
  @qwen-code/qwen-code @mariozechner/pi-coding-agent @zed-industries/codex-acp @zed-industries/claude-code-acp

.agents/.installed: Makefile
	mkdir -p .agents
	npm install --prefix .agents --no-audit --no-fund --silent $(PROGRAMS)
	$(PYTHON) -m venv .agents/aider
	.agents/aider/bin/python -m pip install --quiet aider-chat && ln -sf ../../aider/bin/aider $(AGENTS)/aider \
	  || echo "aider cannot be installed with this Python; its campaign is skipped"
	touch $@

agents: install .agents/.installed
	LOOPSMITH_AGENTS=$(CURDIR)/$(AGENTS) $(BIN)/python -m pytest -rs tests/agents/test_coding_programs.py tests/campaign/test_acp.py

gpu: install  ## what needs a GPU: the harness, the kernels in Triton, nanochat, the profilers
	$(BIN)/python -m pip install --quiet torch triton
	$(BIN)/python -m pytest -rs tests/gpu tests/harness/test_tensors.py

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
	rm -rf $(VENV) .agents .mypy_cache .ruff_cache .hypothesis
