"""What TRL's vLLM beside a trainer needs of vLLM's build for CPUs, which packs its weights: they are reloaded whole,
and nothing may be compiled around the old ones. As a plug-in (see trl_on_cpu_here.py) for workers under torchrun."""

from __future__ import annotations

from functools import partial
from typing import Any

from reasoning_train.stages import grpo


def changes() -> list[tuple[Any, str, Any]]:
    """(where, which attribute, what it has to be)."""
    from trl.generation import vllm_generation

    return [
        (grpo, "has_gpu", lambda: True),
        (vllm_generation, "LLM", partial(vllm_generation.LLM, dtype="float32", enforce_eager=True)),
        (vllm_generation.VLLMGeneration, "sync_weights", _sync_weights),
    ]


def _sync_weights(self: Any) -> None:
    runner = self.llm.llm_engine.model_executor.driver_worker.model_runner
    runner.reload_weights(weights_iterator=self._iter_named_params())
    # tied ones are packed a second time
    runner.model.lm_head.quant_method.process_weights_after_loading(runner.model.lm_head)
    self.llm.reset_prefix_cache()
