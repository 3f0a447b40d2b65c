"""`sft`: supervised fine-tuning on solutions, loss on the completion only, full or LoRA/QLoRA, packed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from reasoning_train.inputs import read_solutions
from reasoning_train.ranks import rank
from reasoning_train.recipe.refs import ModelRef, ProblemsRef, SolutionsRef, Unkeyed
from reasoning_train.stage_api import Context, Sizes, gate, stage
from reasoning_train.trainers.setup import Training, finish, fit, load_options, pad_id, prepare, training_cost, zero_stage

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
    """`sequence`: solutions side by side in a row; `tree`: what those of one problem that meet in a step share is stored once."""


@stage("sft", version=2, outputs={"model": "model"}, distributed=True)
def sft(config: SFTConfig, ctx: Context) -> None:
    """Train, then publish the policy with its Format (adapters merged unless `adapter: keep`)."""
    from reasoning_train.models.policy import load_policy, save_policy
    from reasoning_train.trainers.losses.language import CrossEntropy
    from reasoning_train.trainers.objective import Objective
    from reasoning_train.trainers.until import StopWhenGood

    gate(
        not config.until or zero_stage(ctx.deepspeed) < 3,
        f"sft: `until` decodes with the policy, which ZeRO-3 (resources.deepspeed={ctx.deepspeed!r}) cuts up. Use zero2, or train a fixed "
        "number of steps.",
    )
    policy = load_policy(ctx.input(config.policy).path, **load_options(config, "sft"))
    rows, limit = _rows(config, policy, ctx)
    policy.model = prepare(policy.model, config)
    stopper = StopWhenGood(config.until, policy, ctx) if config.until else None
    objective, out = Objective(policy.model, [CrossEntropy()]), ctx.output("model")
    trainer = fit(
        objective, rows, config, ctx, packing=config.packing, pad_id=pad_id(policy), runs=out / "runs", limit=limit,
        callbacks=[stopper] if stopper else [],
    )  # fmt: skip
    if stopper and config.until:
        gate(
            stopper.reached is not None,
            f"sft: greedy accuracy on dev did not reach until.greedy={config.until.greedy} in {trainer.state.global_step} steps "
            f"(last: {stopper.last:.3f}). Raise `max_steps`, lower the bar, or change `learning_rate`.",
        )
    policy.model = finish(trainer, merge=config.adapter == "merge").model
    if rank() == 0:
        save_policy(policy, out)


@sft.estimate
def cost(config: SFTConfig, sizes: Sizes) -> dict[str, Any]:
    """Looks at dev to the token limit, and the memory of weights, gradients and optimizer."""
    result = training_cost(config, config.policy, sizes)
    if config.until and config.max_steps:
        looks = (config.max_steps - config.until.start) // config.until.every + 1
        calls = looks * min(config.until.limit, sizes(config.until.problems).get("rows", config.until.limit))
        result |= {"calls": calls, "tokens": calls * config.until.max_tokens}
    return result


def _rows(config: SFTConfig, policy: Policy, ctx: Context) -> tuple[list[Row], int]:
    """Rows to train on and the longest that one may be."""
    from reasoning_train.trainers.encode import encode_solutions
    from reasoning_train.trainers.encoded import admit

    limit = min(config.max_length or policy.context, policy.context)
    encoded = encode_solutions(read_solutions(ctx.input(config.data)), policy.codec, limit)
    return admit("sft", encoded, config, ctx, limit), limit
