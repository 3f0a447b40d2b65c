"""The argument lists that start a model server, and its environment."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from data_gen.engines.config import ServeConfig
from data_gen.errors import UserError

_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "DO_NOT_TRACK": "1", "VLLM_NO_USAGE_STATS": "1"}
_INSTALL = {
    "vllm": (
        "install the extra `vllm` (pip install -c constraints.txt -e '.[vllm]'), or name a program of another "
        "environment"
    ),
    "transformers": (
        "install the extra `serve` (pip install -c constraints.txt -e '.[serve]'), or name a program of another "
        "environment"
    ),
}


def serve_command(config: ServeConfig, weights: Path, *, context: int, gpu: bool) -> Callable[[int], list[str]]:
    """Function from a port to the argument list that serves the `from_pretrained` folder `weights`, with its path as
    the model's name, on the loopback interface: bfloat16 on a GPU, float32 on a CPU. UserError if the program is not
    found."""
    fixed = ["--dtype", "bfloat16" if gpu else "float32"]
    if config.command == "vllm":
        # The checkpoint's own sampling defaults are not used: every request states how to sample.
        fixed += ["--generation-config", "vllm", "--enable-prompt-tokens-details"]
        if not gpu:
            # With chunked prefill the CPU sampler cannot rewind the random numbers and crashes. Blocks have at least 32
            # tokens.
            whole = ["--no-enable-chunked-prefill", "--max-num-batched-tokens", str(max(8192, context))]
            fixed += [*whole, "--enforce-eager", "--block-size", "32"]
    program = _program(config)
    return lambda port: [
        program,
        "serve",
        str(weights),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        *fixed,
        *config.args,
    ]


def serve_environment(threads: int) -> dict[str, str]:
    """Additions to this process's environment for a server: no network, and `threads` threads."""
    return {
        **_OFFLINE,
        "OMP_NUM_THREADS": str(threads),
        "VLLM_CPU_OMP_THREADS_BIND": os.environ.get("VLLM_CPU_OMP_THREADS_BIND", "nobind"),
    }


def _program(config: ServeConfig) -> str:
    beside = Path(sys.executable).parent / config.command
    named = config.executable or (str(beside) if beside.exists() else config.command)
    found = shutil.which(named)
    if found is None:
        raise UserError(
            f"engine.serve: there is no program {named!r} here; {_INSTALL[config.command]} in engine.serve.executable."
        )
    return found
