"""Opens the engine that a stage runs its policy on, and records its token counts and whether it is reproducible."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from data_gen.engines.config import EngineConfig, OpenAIConfig, TransformersConfig, VllmConfig
from data_gen.errors import UserError
from data_gen.verifiers.head_files import load_head

if TYPE_CHECKING:
    from data_gen.engines.base import Engine, Usage
    from data_gen.engines.local.engine import TransformersEngine
    from data_gen.engines.vllm.engine import VllmEngine
    from data_gen.verifiers.value_head import ValueHead
    from reasoning_train.api.stage import Context
    from reasoning_train.models.policy import Policy
    from reasoning_train.models.policy_text import PolicyText


@contextmanager
def open_engine(policy: PolicyText, config: EngineConfig, ctx: Context, *, values: bool = False) -> Iterator[Engine]:
    """The engine over a policy; it finds or loads the weights itself. A started server or vLLM ends with the `with`
    block. The manifest notes an engine that cannot seed: its rows replay from the log but cannot be reproduced.

    `values`: samples carry the values of the policy's head (for a joint model, in this process)."""
    with _open(policy, config, ctx, values) as engine:
        try:
            yield engine
        finally:
            if not engine.seeded:
                ctx.metric("reproducible", False)


def _open(policy: PolicyText, config: EngineConfig, ctx: Context, values: bool) -> AbstractContextManager[Engine]:
    if isinstance(config, OpenAIConfig):
        return _openai(policy, config, ctx)
    from reasoning_train.models.policy import load_policy, refuse_served

    refuse_served(policy.folder)
    if isinstance(config, VllmConfig):
        return _vllm(policy, config)
    return nullcontext(
        in_process(load_policy(policy.folder), config, head=load_head(policy.folder) if values else None)
    )


def in_process(
    policy: Policy, config: TransformersConfig | None = None, *, model: Any = None, head: ValueHead | None = None
) -> TransformersEngine:
    """The engine over weights in this process. `model` replaces the policy's own module, such as one in training.

    On a CPU with one thread it is deterministic (`TransformersEngine` says on which processors): rows do not depend on
    batching, kills or shards.
    """
    import torch

    from data_gen.engines.local.engine import TransformersEngine

    module, slots = model if model is not None else policy.model, (config or TransformersConfig()).slots
    deterministic = module.device.type == "cpu" and torch.get_num_threads() == 1
    values: Any = head.to(module.device) if head else None
    if head and head.config.kind == "from_vocab":  # the engine passes hidden states; this head reads logits
        values = torch.nn.Sequential(module.get_output_embeddings(), head)
    return TransformersEngine(
        module, policy.tokenizer, end_ids=policy.end_ids, slots=slots, deterministic=deterministic, head=values
    )


def _vllm(policy: PolicyText, config: VllmConfig) -> VllmEngine:
    from data_gen.engines.vllm.engine import VllmEngine
    from data_gen.models.elsewhere import base_of_adapter, is_adapter

    assert policy.weights is not None
    ends = policy.codec.end_ids
    if not is_adapter(policy.weights):
        return VllmEngine(policy.weights, end_ids=ends, config=config)
    base = base_of_adapter(policy.weights)
    if is_adapter(base):
        raise UserError(
            f"engine: the policy in {policy.folder} keeps adapters on top of the kept adapters in {base}, and vLLM "
            "applies one to a whole model. Make the earlier ones with `adapter: merge`."
        )
    return VllmEngine(base, end_ids=ends, config=config, adapters=[policy.weights]).with_adapter(policy.weights)


@contextmanager
def _openai(policy: PolicyText, config: OpenAIConfig, ctx: Context) -> Iterator[Engine]:
    from data_gen.engines.openai.opening import Speaker, open_openai

    shape = policy.format.model
    speaker = Speaker(
        tokenizer=policy.tokenizer,
        end_ids=policy.codec.end_ids,
        end_id=policy.codec.end_id,
        think=policy.format.task.marks.think,
        context=policy.context,
        weights=policy.weights,
        served=policy.served,
        chat=shape.template == "server",
        system=shape.system,
    )
    with open_openai(config, speaker, log=ctx.partial / "server.log", threads=ctx.threads) as engine:
        try:
            yield engine
        finally:
            ctx.count("requests.repeated", engine.transport.retries)
            ctx.count("prefixes.respelled", engine.respelled)


class Meter:
    """Adds an engine's tokens since the last call to a stage's counters, `tokens.generated` and so on. Called before
    each record, so that counts survive a kill. `role`: of a model besides the policy (`tokens.judge.generated`)."""

    def __init__(self, usage: Usage, role: str = "") -> None:
        self._usage, self._place = usage, f"tokens.{role}." if role else "tokens."
        self._told = {"generated": 0, "prompt": 0, "cached": 0, "scored": 0}

    def tell(self, ctx: Context) -> int:
        """Count the new tokens. Returns the number of tokens generated so far."""
        for name, told in self._told.items():
            now = getattr(self._usage, f"{name}_tokens")
            ctx.count(self._place + name, now - told)
            self._told[name] = now
        return self._usage.generated_tokens
