"""`dpo`: trains a policy on preferences by DPO, IPO, SimPO or ORPO.

Pairs are whole solutions, steps (Step-DPO) or sibling steps (MCTS-DPO). The pairs decide which it is: a step pair has
the question and the shared steps in its prompt, so only the step has a loss.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import model_validator

from data_gen.records.labels import StepPair
from data_gen.registry import Unkeyed
from reasoning_train.api.refs import ModelRef, PairsRef, Ref
from reasoning_train.api.stage import Context, Made, Sizes, gate, stage
from reasoning_train.process.ranks import rank
from reasoning_train.store.rows import Rows
from reasoning_train.trainers.config import Training
from reasoning_train.trainers.fitting import AnyLoss, check_losses
from reasoning_train.trainers.losses.dpo import DPO
from reasoning_train.trainers.setup import load_options, pad_id, prepare, training_cost, use_bf16

if TYPE_CHECKING:
    from reasoning_train.models.policy import Policy
    from reasoning_train.packing.rows import Row


class DPOConfig(Training):
    """Which policy is trained on which pairs, by which losses."""

    policy: ModelRef
    pairs: PairsRef
    """From stage `reference`, unless no loss reads a reference."""
    losses: list[AnyLoss] = [DPO()]
    """Terms of the objective, each a mean times its `weight`: `[{uses: dpo, beta: 0.3}, {uses: sft, weight: 0.1}]`."""
    adapter: Literal["merge", "keep"] = "merge"
    packing: Annotated[Literal["none", "sequence", "tree"], Unkeyed()] = "tree"
    """`tree`: the shared prefix of the pairs of one tree goes through the model once."""

    @model_validator(mode="after")
    def _fits(self) -> DPOConfig:
        check_losses(self.losses, ("tokens", "pairs", "reference"), "dpo")
        return self


@stage("dpo", version=2, outputs={"model": "model"}, distributed=True)
def dpo(config: DPOConfig, ctx: Context) -> None:
    """Train, then publish the policy with its Format. Adapters are merged unless `adapter: keep`."""
    from reasoning_train.models.policy import load_policy, save_policy
    from reasoning_train.trainers.fit import TrainingSource, finish, fit
    from reasoning_train.trainers.objective import Objective

    folder = ctx.input(config.policy).path
    policy = load_policy(folder, **load_options(config, "dpo", ctx.deepspeed))
    rows, limit = _rows(config, policy, ctx)
    policy.model = prepare(policy.model, config)
    out = ctx.output("model")
    objective = Objective(policy.model, config.losses, bf16=use_bf16(config.precision))
    trainer = fit(
        objective,
        [TrainingSource(rows)],
        config,
        ctx,
        packing=config.packing,
        pad_id=pad_id(policy),
        runs=out / "runs",
        limit=limit,
        together=True,
    )
    policy.model = finish(trainer, folder, merge=config.adapter == "merge").model
    if rank() == 0:
        save_policy(policy, out)


@dpo.check
def fits(config: DPOConfig, made: Made) -> Iterator[tuple[str, str]]:
    """The pairs have log-probabilities of a reference, unless no loss reads them."""
    reading = next((loss.uses for loss in config.losses if "reference" in loss.reads), None)
    for name in _without_reference(config.pairs, made) if reading else ():
        yield (
            "pairs",
            f"loss {reading!r} compares with a reference, and the pairs of {name!r} have no log-probabilities of one. "
            "Put a stage `{uses: reference, pairs: ..., policy: ...}` between, or use `losses: [simpo]`.",
        )


def _without_reference(pairs: Ref, made: Made) -> Iterator[str]:
    for maker in made.makers(pairs):
        if maker.uses in ("step_pairs", "recode_pairs"):
            yield maker.name
        elif maker.uses == "concat":
            for source in maker.config.parts:
                yield from _without_reference(source.rows, made)


@dpo.estimate
def cost(config: DPOConfig, sizes: Sizes) -> dict[str, Any]:
    """The memory of weights, gradients and optimizer."""
    return training_cost(config, config.policy, [config.pairs], sizes)


def _rows(config: DPOConfig, policy: Policy, ctx: Context) -> tuple[list[Row], int]:
    """Rows to train on, and the maximum length of a side."""
    from reasoning_train.trainers.data.pairs import encode_pairs
    from reasoning_train.trainers.data.preflight import named, validate_rows

    limit = min(config.max_length or policy.context, policy.context)
    pairs = (StepPair.from_row(row) for row in Rows(ctx.input(config.pairs).path))
    encoded = encode_pairs(pairs, policy.codec, limit, vocabulary=policy.vocabulary)
    rows = validate_rows("dpo", encoded, config, ctx, limit, policy.codec)
    without, reading = [row for row in rows if not row.reference], [x for x in config.losses if "reference" in x.reads]
    gate(
        not (reading and without),
        f"dpo: {len(without)} of {len(rows)} pairs have no log-probabilities of a reference, which loss "
        f"{reading[0].uses if reading else ''!r} reads. Put a stage `{{uses: reference, pairs: ..., policy: ...}}` "
        "before this one and train on its pairs, or use `losses: [simpo]`. The first: "
        f"{named((without or rows)[0], policy.codec)}.",
    )
    return rows, limit
