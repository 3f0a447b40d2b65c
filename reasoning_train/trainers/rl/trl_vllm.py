"""TRL's vLLM for GRPO and RLOO: its recipe fields, TRL's settings, and its startup.

Like trl_adapter.py this file depends on TRL. The vLLM side is tested with vLLM's CPU build.
"""

from __future__ import annotations

import importlib.util
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from data_gen.engines.config import plain_url
from data_gen.errors import UserError
from reasoning_train.process.ranks import rank

ABOUT = {"colocate": ("memory",), "server": ("base_url", "start_timeout")}
"""Fields that apply to one mode only."""
SERVE = (
    """VLLM_SERVER_DEV_MODE=1 vllm serve MODEL --weight-transfer-config '{"backend": "nccl"}' """
    "--logprobs-mode processed_logprobs"
)


class Vllm(BaseModel):
    """Completions by TRL's vLLM, on a GPU: in the trainer's process (`colocate`), or from a server of the policy
    (`server`) that gets weights by NCCL: `VLLM_SERVER_DEV_MODE=1 vllm serve MODEL --weight-transfer-config '{"backend":
    "nccl"}' --logprobs-mode processed_logprobs`. With `loss: grpo` the curve `logprob_gap` shows how far vLLM's
    log-probabilities are from the trainer's, in nats per token."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    mode: Literal["colocate", "server"] = "colocate"
    base_url: str | None = None
    """Address of the server, e.g. http://localhost:8000/v1."""
    start_timeout: float = Field(240.0, ge=0)
    """Seconds until the server must answer."""
    memory: float = Field(0.3, gt=0, lt=1)
    """Share of each GPU's memory for the weights and KV cache of a colocated vLLM."""

    @field_validator("base_url")
    @classmethod
    def _plain_url(cls, url: str | None) -> str | None:
        if url is None:
            return None
        if urlsplit(plain := plain_url(url)).path not in ("", "/v1"):
            raise ValueError(f"vllm.base_url: expected an address such as http://localhost:8000/v1, got {url!r}")
        return plain

    @model_validator(mode="after")
    def _fits(self) -> Vllm:
        if self.mode == "server" and not self.base_url:
            raise ValueError(
                "vllm.base_url: mode 'server' needs the address of a `vllm serve`, e.g. http://localhost:8000/v1"
            )
        [other] = ABOUT.keys() - {self.mode}
        for name in ABOUT[other]:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"vllm.{name}: belongs to mode {other!r}, but the mode is {self.mode!r}; leave it out")
        return self

    @property
    def address(self) -> str | None:
        """Address of the server, without the `/v1` that TRL adds."""
        return self.base_url and self.base_url.removesuffix("/v1")


def trl_settings(vllm: Vllm, loss: str, ends: dict[str, Any], *, length: int, top_p: float) -> dict[str, Any]:
    """Fields of TRL's configuration. `ends`: vLLM's stop settings. `length`: most tokens of a prompt with its
    completion."""
    made = {
        "use_vllm": True,
        "vllm_mode": vllm.mode,
        "vllm_server_base_url": vllm.address,
        "vllm_server_timeout": vllm.start_timeout,
        "vllm_gpu_memory_utilization": vllm.memory,
        "vllm_max_model_length": length,
        "generation_kwargs": ends,
    }
    if loss == "grpo":
        # With top_p < 1 vLLM's probabilities are over the remaining tokens, the trainer's over all. This ratio is not
        # an error to correct.
        made["vllm_importance_sampling_correction"] = top_p == 1
    return made


def check_installed() -> None:
    """UserError if vLLM is not installed."""
    if importlib.util.find_spec("vllm") is None:
        raise UserError(
            "grpo: `vllm` needs vLLM beside TRL, and it is not installed here. `pip install "
            "'reasoning_train[trl,vllm]'`, or leave it out."
        )


@contextmanager
def starting(args: Any) -> Iterator[None]:
    """Wraps TRL's constructor, which starts vLLM in this process or connects to its server. It runs in the same
    environment as the engine `vllm`. Afterwards the stage's seed is set again, because vLLM sets its own. UserError if
    vLLM fails."""
    from accelerate.utils import set_seed

    from data_gen.engines.vllm.process import contained

    if args.vllm_mode == "server" and rank() == 0:
        _wait_for(args.vllm_server_base_url, args.vllm_server_timeout)
    folder = Path(args.output_dir) / f"vllm-{rank()}"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with contained(folder):
            yield
    except Exception as error:
        if not _of_vllm(error):
            raise
        raise UserError(_explain(args, folder / "vllm.log", error)) from error
    set_seed(args.seed, device_specific=True)


def _wait_for(address: str, seconds: float) -> None:
    """Wait until the server is healthy. TRL's own wait never ends if a server answers that it is not."""
    from data_gen.engines.openai.server import healthy

    end = time.monotonic() + seconds
    while not healthy(address):
        if time.monotonic() >= end:
            raise UserError(
                f"grpo: vllm.base_url: no server has answered at {address}/health for {seconds:g} s. Start one with "
                f"the policy (`{SERVE}`), or leave `vllm` out."
            )
        time.sleep(1)


def _of_vllm(error: Exception) -> bool:
    """Whether the error comes from vLLM or from the part of TRL that calls it."""
    modules = [str(frame.f_globals.get("__name__")) for frame, _ in traceback.walk_tb(error.__traceback__)]
    return any(name.partition(".")[0] == "vllm" or name.startswith("trl.generation.vllm") for name in modules)


def _explain(args: Any, log: Path, error: Exception) -> str:
    from data_gen.engines.vllm.start import last_lines

    said = f"{type(error).__name__}: {error}"
    if args.vllm_mode == "server":
        return f"grpo: vllm: TRL cannot work with the server at {args.vllm_server_base_url}. {said}"
    return (
        f"grpo: vllm: it does not start beside the trainer, with memory={args.vllm_gpu_memory_utilization}. "
        f"{said}{last_lines(log)}"
    )
