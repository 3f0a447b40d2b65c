"""Opening the engine that a stage samples with, over a policy that is already loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from data_gen.engines.transformers_engine import TransformersEngine
    from reasoning_train.models.policy import Policy


def open_engine(policy: Policy, *, model: Any = None) -> TransformersEngine:
    """The in-process engine. `model` replaces the policy's own module (one that is being trained).

    On CPU with one thread it runs deterministically: rows do not depend on batching, kills or shards.
    """
    import torch

    from data_gen.engines.transformers_engine import TransformersEngine

    module = model if model is not None else policy.model
    deterministic = module.device.type == "cpu" and torch.get_num_threads() == 1
    return TransformersEngine(module, policy.tokenizer, end_ids=policy.end_ids, deterministic=deterministic)
