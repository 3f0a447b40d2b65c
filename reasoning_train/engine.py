"""Opening the engine that a stage samples with, over a policy that is already loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from data_gen.engines.base import Usage
    from data_gen.engines.transformers_engine import TransformersEngine
    from reasoning_train.models.policy import Policy
    from reasoning_train.stage_api import Context


SLOTS = 256
"""Rows that decode at once, where memory allows: width is the lever of decoding speed."""


def in_flight(samples: int) -> int:
    """Programs to keep alive so that the slots stay full while some wait for their graders."""
    return 2 * SLOTS // max(1, samples) + 1


def open_engine(policy: Policy, *, model: Any = None) -> TransformersEngine:
    """The in-process engine. `model` replaces the policy's own module (one that is being trained).

    On CPU with one thread it runs deterministically: rows do not depend on batching, kills or shards.
    """
    import torch

    from data_gen.engines.transformers_engine import TransformersEngine

    module = model if model is not None else policy.model
    deterministic = module.device.type == "cpu" and torch.get_num_threads() == 1
    return TransformersEngine(module, policy.tokenizer, end_ids=policy.end_ids, slots=SLOTS, deterministic=deterministic)


class Meter:
    """Tells a stage's counters what an engine has spent since the last time: called before each record, it survives a kill."""

    def __init__(self, usage: Usage) -> None:
        self._usage = usage
        self._generated = self._prompt = 0

    def tell(self, ctx: Context) -> int:
        """Count the new tokens; returns all that were generated so far."""
        ctx.count("tokens.generated", self._usage.generated_tokens - self._generated)
        ctx.count("tokens.prompt", self._usage.prompt_tokens - self._prompt)
        self._generated, self._prompt = self._usage.generated_tokens, self._usage.prompt_tokens
        return self._generated
