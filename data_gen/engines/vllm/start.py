"""Starts vLLM in this process: its settings, and error messages that quote its own log."""

from __future__ import annotations

import gc
import multiprocessing
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from data_gen.engines.config import VllmConfig
from data_gen.engines.vllm.adapters import Adapter, adapter_settings
from data_gen.engines.vllm.process import contained, meet_in, remove, shared_memory
from data_gen.errors import UserError
from data_gen.models.context import context_length

LOG_LINES = 12
"""Number of last lines of vLLM's log that a failed start shows."""
CPU_KV_GIB = 2.0
CPU_BLOCK = 32


@dataclass(slots=True)
class Running:
    """An `LLMEngine`, and the folder with its log and its processes' rendezvous file."""

    llm: Any
    folder: TemporaryDirectory[str]

    def end(self) -> None:
        """Release everything: memory, worker processes, shared memory, files."""
        import torch

        files = shared_memory(multiprocessing.active_children())
        self.llm.renderer.shutdown()
        self.llm.engine_core.shutdown()
        self.llm = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()  # the next vLLM of this process asks how much is free
        remove(files)
        self.folder.cleanup()


def start_vllm(weights: Path, config: VllmConfig, adapters: Sequence[Adapter] = ()) -> Running:
    """vLLM over the `from_pretrained` folder `weights`, with these LoRA adapters loaded.

    UserError if vLLM is not installed or does not start.
    """
    folder = TemporaryDirectory(prefix="vllm-")
    try:
        with contained(Path(folder.name)):
            return Running(_start(weights, config, adapters, Path(folder.name)), folder)
    except BaseException:
        folder.cleanup()
        raise


def _start(weights: Path, config: VllmConfig, adapters: Sequence[Adapter], folder: Path) -> Any:
    try:
        from vllm.distributed.parallel_state import model_parallel_is_initialized
        from vllm.engine.arg_utils import EngineArgs
        from vllm.v1.engine.llm_engine import LLMEngine
    except ImportError as error:
        raise UserError(
            f"engine `vllm`: it cannot be imported ({error}). With a GPU, `pip install 'reasoning-train[vllm]'`; on a "
            "CPU, see `make test-vllm`. Or choose the engine `transformers`."
        ) from error
    if model_parallel_is_initialized():
        raise UserError(
            "engine `vllm`: this process runs a vLLM already, and it holds one at a time. Close that one first."
        )
    meet_in(folder)
    before = set(multiprocessing.active_children())
    try:
        settings = _settings(weights, config) | adapter_settings(adapters) | config.args
        llm = LLMEngine.from_engine_args(EngineArgs(**settings))
        for adapter in adapters:
            llm.add_lora(adapter.request())
        _check(llm)
    except Exception as error:
        _clean_up(error, before)
        raise UserError(_explain(weights, error, folder / "vllm.log")) from error
    return llm


def _settings(weights: Path, config: VllmConfig) -> dict[str, Any]:
    from transformers import AutoConfig
    from vllm.platforms import current_platform

    cpu = current_platform.is_cpu()
    context = context_length(AutoConfig.from_pretrained(weights, local_files_only=True, trust_remote_code=False))
    gib = config.kv_cache_gib or (CPU_KV_GIB if cpu else None)
    settings: dict[str, Any] = {
        "model": str(weights),
        "dtype": "float32" if cpu else "bfloat16",
        "seed": 0,
        "max_model_len": context,
        "logprobs_mode": "raw_logprobs",  # before temperature and top-p, as base.Sample says
        "generation_config": "vllm",  # no sampling defaults from the folder
        "max_num_seqs": config.slots,
        "tensor_parallel_size": config.tensor_parallel,
        "distributed_executor_backend": "mp" if config.tensor_parallel > 1 else "uni",
        "gpu_memory_utilization": config.memory,
        "kv_cache_memory_bytes": int(gib * 2**30) if gib else None,
        "block_size": config.block_size or (CPU_BLOCK if cpu else None),
        "enable_prefix_caching": config.prefix_caching,
        "enforce_eager": cpu if config.enforce_eager is None else config.enforce_eager,
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
    }
    if cpu:
        # Chunked prefill rewinds the random numbers of all chunks but the last, which a CPU generator cannot do.
        settings |= {"enable_chunked_prefill": False, "max_num_batched_tokens": max(8192, context)}
    return settings


def _check(llm: Any) -> None:
    """Generates one token, so that missing kernels or a failing C++ compiler (log-probs are compiled) show now and not
    in the first problem."""
    from vllm import SamplingParams

    settings = SamplingParams(max_tokens=1, logprobs=0, detokenize=False)
    llm.add_request("check", {"type": "token", "prompt_token_ids": [0]}, settings)
    while llm.has_unfinished_requests():
        llm.step()


def _clean_up(error: Exception, before: set[Any]) -> None:
    """The frames of its error hold a half-built engine. Release it with its workers and process groups."""
    from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

    traceback.clear_frames(error.__traceback__)
    workers = set(multiprocessing.active_children()) - before
    files = shared_memory(workers)
    for worker in workers:
        worker.kill()
        worker.join()
    remove(files)
    cleanup_dist_env_and_memory()
    gc.collect()


def _explain(weights: Path, error: Exception, log: Path) -> str:
    return f"engine `vllm` does not start on the model in {weights}: {type(error).__name__}: {error}{last_lines(log)}"


def last_lines(log: Path) -> str:
    """The last lines of vLLM's log, for a message."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:] if log.exists() else []
    return "\n  ".join(["", "vLLM's last lines:", *lines])
