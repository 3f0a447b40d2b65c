"""`sft`: supervised fine-tuning on solutions, full or LoRA/QLoRA, optionally with a value head in the same pass.

Only completions have a loss. With `value` it trains a joint policy and value model (AlphaMath, arXiv 2405.03553,
section 3.4). Its `losses` are `cross_entropy` on the paths in `data` and `mse` on all paths that have targets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from data_gen.records.labels import ValueTarget
from data_gen.records.scales import Scale
from data_gen.records.segment import Kind
from data_gen.registry import Unkeyed
from data_gen.verifiers.heads import HeadConfig
from reasoning_train.api.refs import ModelRef, Ref, SolutionsRef, ValueTargetsRef
from reasoning_train.api.stage import STAGES, Context, Made, Sizes, gate, refs_of, stage
from reasoning_train.process.ranks import rank
from reasoning_train.stages.fits import heads, refused, unreadable
from reasoning_train.store.inputs import read_solutions
from reasoning_train.store.rows import Rows
from reasoning_train.trainers.config import Training, Until
from reasoning_train.trainers.deepspeed import zero_stage
from reasoning_train.trainers.fitting import AnyLoss, check_losses, reads_head
from reasoning_train.trainers.losses.cross_entropy import CrossEntropy
from reasoning_train.trainers.losses.mse import MSE
from reasoning_train.trainers.setup import load_options, pad_id, prepare, training_cost, use_bf16

if TYPE_CHECKING:
    from pathlib import Path

    from reasoning_train.models.policy import Policy
    from reasoning_train.trainers.fit import TrainingSource
    from reasoning_train.trainers.objective import Objective


SOFTEN = "Put a stage `{uses: soften, data: ..., policy: TEACHER}` before this one and train on its rows."


class JointValue(BaseModel):
    """A value head that is trained in the same pass: `value: {targets: "${stages.values}", head: {activation: tanh,
    scale: signed}}`, with `losses: [cross_entropy, {uses: mse, weight: 0.5}]` (0.5 is AlphaMath's beta)."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    targets: ValueTargetsRef
    """Targets along right and wrong paths. The rows of a problem are in the same step as its solutions, and in the same
    tree with `packing: tree`."""
    head: HeadConfig = HeadConfig(activation="tanh", scale=Scale.SIGNED)


class Mixed(BaseModel):
    """Solutions with their share of the rows of every step: `{solutions: "${stages.kept}", share: 3}`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    solutions: SolutionsRef
    share: float = Field(1.0, gt=0)
    """Relative to the shares of the other sources."""


class SFTConfig(Training):
    """Which policy is trained on which solutions."""

    policy: ModelRef
    data: SolutionsRef | list[Mixed]
    """One source, or several with their shares of the rows of a step. The sizes of the sources do not matter."""
    max_trained_tokens: int | None = Field(None, ge=1)
    """Train until the loss has covered this many tokens, counted by weight, to within half a row. Replaces `epochs` and
    `max_steps`. The rows trained on do not depend on the number of processes."""
    masked: list[Kind] = []
    """Kinds of segments without loss, such as `think`. Tool outputs (`observation`) never have a loss."""
    losses: list[AnyLoss] = [CrossEntropy()]
    """Terms of the objective, each a mean times its `weight`. With `value` the default is [cross_entropy, mse], and at
    least one must read its targets."""
    value: JointValue | None = None
    until: Until | None = None
    adapter: Literal["merge", "keep"] = "merge"
    packing: Annotated[Literal["none", "sequence", "tree"], Unkeyed()] = "sequence"
    """`sequence`: several solutions are concatenated in a row. `tree`: solutions of one problem in the same step share
    their common prefixes."""

    @model_validator(mode="before")
    @classmethod
    def _losses_follow_from_value(cls, written: Any) -> Any:
        if isinstance(written, Mapping) and written.get("value") and "losses" not in written:
            return {**written, "losses": [CrossEntropy(), MSE()]}
        return written

    @model_validator(mode="after")
    def _fits(self) -> SFTConfig:
        rows = ("tokens", "solutions", "teacher", *(["targets"] if self.value else []))
        who, head = ("sft with `value`", self.value.head) if self.value else ("sft", None)
        check_losses(self.losses, rows, who, head=head)
        if self.value and not any(map(reads_head, self.losses)):
            raise ValueError(
                "losses: no loss reads the targets of `value`; expected one that does, as in [cross_entropy, mse]"
            )
        if isinstance(self.data, list) and (self.value or len(self.data) < 2):
            raise ValueError("data: a list needs two or more sources and no `value`; give one reference instead")
        if self.max_trained_tokens and (self.epochs or self.max_steps):
            name = "epochs" if self.epochs else "max_steps"
            raise ValueError(f"{name}: `max_trained_tokens` says how long to train; leave one of the two out")
        if self.until and (self.held_out or self.ema):
            name = "held_out" if self.held_out else "ema"
            raise ValueError(
                f"{name}: `until` publishes the weights that met its bar, not others; leave one of the two out"
            )
        return self

    @property
    def mixed(self) -> list[Mixed]:
        """The sources, with a bare reference as `Mixed`."""
        return self.data if isinstance(self.data, list) else [Mixed(solutions=self.data)]

    def placement_problems(self, world: int, deepspeed: str | None) -> Iterator[str]:
        """`until` decodes during training, which ZeRO-3 cannot do."""
        yield from super().placement_problems(world, deepspeed)
        if self.until and zero_stage(deepspeed) == 3:
            yield (
                f"sft: `until` decodes with the policy, which ZeRO-3 (resources.deepspeed={deepspeed!r}) shards. Use "
                "zero2, or train a fixed number of steps."
            )


@stage("sft", version=2, outputs={"model": "model"}, distributed=True)
def sft(config: SFTConfig, ctx: Context) -> None:
    """Train, then publish the policy with its Format and, with `value`, its head. Adapters are merged unless `adapter:
    keep`."""
    from data_gen.verifiers.head_files import save_head
    from reasoning_train.models.policy import load_policy, save_policy
    from reasoning_train.trainers.fit import finish, fit
    from reasoning_train.trainers.until import StopWhenGood

    folder, out = ctx.input(config.policy).path, ctx.output("model")
    policy = load_policy(folder, **load_options(config, "sft", ctx.deepspeed))
    sources, limit = _sources(config, policy, ctx)
    policy.model = prepare(policy.model, config)
    stopper = StopWhenGood(config.until, policy, ctx) if config.until else None
    trainer = fit(
        _objective(config, policy, folder),
        sources,
        config,
        ctx,
        packing=config.packing,
        pad_id=pad_id(policy),
        runs=out / "runs",
        limit=limit,
        together=config.value is not None,
        max_trained_tokens=config.max_trained_tokens,
        callbacks=[stopper] if stopper else [],
    )
    if stopper and config.until:
        gate(
            stopper.reached is not None,
            f"sft: the accuracy of greedy decoding on dev did not reach until.accuracy={config.until.accuracy} in "
            f"{trainer.state.global_step} steps (last: {stopper.last:.3f}). Raise `max_steps`, lower the bar, or "
            "change `learning_rate`.",
        )
    trained = finish(trainer, folder, merge=config.adapter == "merge")
    policy.model = trained.model
    if rank() == 0:
        save_policy(policy, out)
        if trained.head is not None:
            save_head(trained.head, out)


@sft.check
def fits(config: SFTConfig, made: Made) -> Iterator[tuple[str, str]]:
    """An existing head beside the policy has the same config; targets convert to the head's scale; solutions have the
    teacher that a loss reads."""
    if reading := _distils(config):
        for name in (name for one in config.mixed for name in _untaught(one.solutions, made)):
            yield "data", f"{name!r} gives solutions without a teacher, which loss {reading!r} reads. {SOFTEN}"
    if config.value is None:
        return
    for maker, head in heads(made, config.policy):
        if head and (said := refused(config.value.head.check_same, head, "the recipe's head", repr(maker.name))):
            yield "value.head", said
    for maker in made.origins(config.value.targets):
        if maker.uses == "value_targets" and (said := unreadable(maker.config.targets.scale, config.value.head.scale)):
            yield "value.targets", f"{maker.name!r}: {said}"


def _distils(config: SFTConfig) -> str | None:
    return next((loss.uses for loss in config.losses if "teacher" in loss.reads), None)


def _untaught(solutions: Ref, made: Made) -> Iterator[str]:
    """Names of the stages whose rows reach `solutions` without passing a `soften` stage."""
    for maker in made.makers(solutions):
        carried = STAGES.get(maker.uses).carries
        if maker.uses in ("gold", "sample", "sft_paths", "recode_solutions"):
            yield maker.name
        elif carried and maker.uses != "soften":
            for below in refs_of(getattr(maker.config, carried)):
                yield from _untaught(below, made)


def _objective(config: SFTConfig, policy: Policy, folder: Path) -> Objective:
    """The losses over the policy and, with `value`, its head. An existing head beside the policy is trained further."""
    from reasoning_train.trainers.heads import open_head
    from reasoning_train.trainers.objective import Objective

    head = open_head(folder, config.value.head, policy.model) if config.value else None
    return Objective(policy.model, config.losses, head, bf16=use_bf16(config.precision))


@sft.estimate
def cost(config: SFTConfig, sizes: Sizes) -> dict[str, Any]:
    """Evaluations on dev up to the token limit, and the memory of weights, gradients and optimizer."""
    result = training_cost(config, config.policy, [one.solutions for one in config.mixed], sizes)
    if config.until and config.max_steps:
        evaluations = (config.max_steps - config.until.start) // config.until.every + 1
        calls = evaluations * min(config.until.limit, sizes(config.until.problems).get("rows", config.until.limit))
        result |= {"calls": calls, "tokens": calls * config.until.max_tokens}
    return result


def _sources(config: SFTConfig, policy: Policy, ctx: Context) -> tuple[list[TrainingSource], int]:
    """Rows to train on with their shares, and the maximum length of a row."""
    from reasoning_train.trainers.data.encoded import Encoded
    from reasoning_train.trainers.data.preflight import validate_rows
    from reasoning_train.trainers.data.solutions import encode_solutions
    from reasoning_train.trainers.data.values import encode_values
    from reasoning_train.trainers.fit import TrainingSource

    limit = min(config.max_length or policy.context, policy.context)
    parts = [
        encode_solutions(read_solutions(ctx.input(part.solutions)), policy.codec, limit, config.masked)
        for part in config.mixed
    ]
    if config.value:
        targets = (ValueTarget.from_row(row) for row in Rows(ctx.input(config.value.targets).path))
        parts[0] += encode_values(targets, policy.codec, config.value.head, limit, vocabulary=policy.vocabulary)
    for part, source in zip(parts, config.mixed, strict=True):
        gate(
            bool(part.rows),
            f"sft: no rows of {source.solutions} to train on (dropped: {part.why(limit)}).{part.offending(limit)}",
        )
    scale = config.value.head.scale if config.value else None
    validate_rows("sft", sum(parts, Encoded()), config, ctx, limit, policy.codec, scale=scale)
    untaught = [row for part in parts for row in part.rows if not row.traces[0].columns and any(row.traces[0].weights)]
    gate(
        not (untaught and _distils(config)),
        f"sft: {len(untaught)} of {sum(len(part.rows) for part in parts)} rows have no teacher, which loss "
        f"{_distils(config)!r} reads. {SOFTEN}",
    )
    return [TrainingSource(part.rows, source.share) for part, source in zip(parts, config.mixed, strict=True)], limit
