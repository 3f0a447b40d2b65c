"""`sft`: supervised fine-tuning on solutions, loss on the completion only, full or LoRA/QLoRA, packed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from reasoning_train.inputs import read_solutions
from reasoning_train.ranks import rank
from reasoning_train.recipe.refs import ModelRef, ProblemsRef, SolutionsRef, Unkeyed
from reasoning_train.stage_api import Context, Sizes, gate, stage
from reasoning_train.trainers.setup import Training, fit, load_options, pad_id, prepare

if TYPE_CHECKING:
    from reasoning_train.models.policy import Policy
    from reasoning_train.packing.rows import Row


class Until(BaseModel):
    """Stop as soon as greedy accuracy on `problems` reaches `greedy`, looked at every `every` steps from step `start`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    problems: ProblemsRef
    greedy: float = Field(gt=0, le=1)
    every: int = Field(20, ge=1)
    start: int = Field(0, ge=0)
    limit: int = Field(200, ge=1)
    """How many problems of the split are looked at."""
    max_tokens: int = 128


class SFTConfig(Training):
    """What is trained on what."""

    policy: ModelRef
    data: SolutionsRef
    until: Until | None = None
    adapter: Literal["merge", "keep"] = "merge"
    packing: Annotated[Literal["none", "sequence", "tree"], Unkeyed()] = "sequence"
    """Solutions side by side in a row, or, with several to a problem, what they share stored once."""


@stage("sft", version=2, outputs={"model": "model"}, ranked=True)
def sft(config: SFTConfig, ctx: Context) -> None:
    """Train, then publish the policy with its Format (adapters merged unless `adapter: keep`)."""
    from reasoning_train.models.policy import load_policy, save_policy
    from reasoning_train.trainers.losses.language import CrossEntropy
    from reasoning_train.trainers.objective import Objective
    from reasoning_train.trainers.until import StopWhenGood
    from reasoning_train.trainers.weights import gathered

    policy = load_policy(ctx.input(config.policy).path, **load_options(config, "sft"))
    rows, limit = _rows(config, policy, ctx)
    policy.model = prepare(policy.model, config)
    stopper = StopWhenGood(config.until, policy, ctx) if config.until else None
    objective, out = Objective(policy.model, [CrossEntropy()]), ctx.output("model")
    trainer = fit(
        objective, rows, config, ctx, packing=config.packing, pad_id=pad_id(policy), runs=out / "runs", limit=limit,
        together=config.packing == "tree", callbacks=[stopper] if stopper else [],
    )  # fmt: skip
    if stopper and config.until:
        gate(
            stopper.reached is not None,
            f"sft: greedy accuracy on dev did not reach until.greedy={config.until.greedy} in {trainer.state.global_step} steps "
            f"(last: {stopper.last:.3f}). Raise `max_steps`, lower the bar, or change `learning_rate`.",
        )
    policy.model = gathered(trainer).model
    if config.lora and config.adapter == "merge":
        policy.model = policy.model.merge_and_unload()
    if rank() == 0:
        save_policy(policy, out)


@sft.estimate
def cost(config: SFTConfig, sizes: Sizes) -> dict[str, Any]:
    """Looks at dev to the token limit, and the memory of weights, gradients and optimizer."""
    from reasoning_train.memory import training_bytes

    parameters, result = sizes(config.policy).get("parameters"), dict[str, Any]()
    if parameters:
        result |= {"parameters": parameters, "memory_bytes": training_bytes(parameters, 0.02 if config.lora else 1.0)}
    if config.until and config.max_steps:
        looks = (config.max_steps - config.until.start) // config.until.every + 1
        calls = looks * min(config.until.limit, sizes(config.until.problems).get("rows", config.until.limit))
        result |= {"calls": calls, "tokens": calls * config.until.max_tokens}
    return result


def _rows(config: SFTConfig, policy: Policy, ctx: Context) -> tuple[list[Row], int]:
    """Rows to train on and the longest that one may be."""
    from reasoning_train.trainers.encode import encode_solutions

    limit = min(config.max_length or policy.context, policy.context)
    encoded = encode_solutions(read_solutions(ctx.input(config.data)), policy.codec, limit)
    lengths = sorted(row.tokens for row in encoded.rows) or [0]
    dropped, kept = encoded.too_long + encoded.cut, len(encoded.rows)
    ctx.count("in", kept + dropped + encoded.weightless)
    ctx.count("out", kept)
    ctx.count("dropped.too_long", encoded.too_long)
    ctx.count("dropped.cut_by_length_limit", encoded.cut)
    if encoded.weightless:
        ctx.count("dropped.weight_0", encoded.weightless)
    ctx.metric("length_quantiles", {f"p{q}": lengths[min(len(lengths) - 1, q * len(lengths) // 100)] for q in (50, 90, 99, 100)})
    gate(
        kept >= config.min_rows,
        f"sft: {kept} rows to train on, fewer than min_rows={config.min_rows} ({dropped} dropped). Sample more, or lower `min_rows`.",
    )
    gate(
        dropped <= config.max_dropped * (kept + dropped),
        f"sft: {dropped} of {kept + dropped} rows dropped ({encoded.too_long} over max_length={limit} tokens, "
        f"{encoded.cut} cut when sampled), more than max_dropped={config.max_dropped}. "
        "Raise `max_length` or the sampling's `max_tokens`, or select only whole solutions.",
    )
    return encoded.rows, limit
