"""`train_verifier`: trains a value head and its backbone.

The targets decide whether it is an outcome, process, token-level, progress or pairwise verifier:

- outcome (2110.14168): `targets` of rule outcome, `head: {read_at: last}`
- process (2312.08935): `targets` of rule mc; from labels without noise (2305.20050): of rule exact_steps
- token-level (2407.12863): `targets` of rule prefix_ratio, `head: {read_at: every_token, activation: clip}`,
  `losses: [mse]`
- pairwise (2407.00390): `pairs` of rule margin, `head: {scale: ranking, activation: none, bias: false}`,
  `losses: [ranking]`
- listwise (2409.12122): `targets` of rule outcome, `head: {scale: ranking, activation: none, read_at: last}`,
  `losses: [ranking]`
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import model_validator

from data_gen.records.labels import StepPair, ValueTarget
from data_gen.registry import Unkeyed
from data_gen.verifiers.heads import HeadConfig
from reasoning_train.api.refs import BackboneRef, PairsRef, ValueTargetsRef
from reasoning_train.api.stage import Context, Made, Sizes, gate, stage
from reasoning_train.process.ranks import rank
from reasoning_train.stages.fits import heads, refused, unreadable
from reasoning_train.store.rows import Rows
from reasoning_train.trainers.config import Training
from reasoning_train.trainers.fitting import AnyLoss, check_losses
from reasoning_train.trainers.losses.bce import BCE
from reasoning_train.trainers.setup import load_options, pad_id, prepare, training_cost, use_bf16

if TYPE_CHECKING:
    from reasoning_train.models.policy import Policy
    from reasoning_train.packing.rows import Row


class TrainVerifierConfig(Training):
    """Which backbone and head are trained, on which targets or pairs."""

    policy: BackboneRef
    """The backbone's weights, the tokenizer and the Format: the policy that grew the trees, a larger model with its
    tokenizer, or a verifier to train further."""
    new_head: bool = False
    """Train a new head even if the backbone already has one, e.g. a head with another scale or position to read."""
    targets: ValueTargetsRef | None = None
    pairs: PairsRef | None = None
    """For losses that compare steps (`ranking`). Give exactly one of `targets` and `pairs`."""
    head: HeadConfig = HeadConfig()
    losses: list[AnyLoss] = [BCE()]
    """Terms of the objective, each a mean times its `weight`: `bce` with soft or hard labels, `mse` on the head's
    scale, or `ranking` of the two sides of `pairs`, or of the right and wrong paths of one problem."""
    packing: Annotated[Literal["none", "sequence", "tree"], Unkeyed()] = "tree"
    """`tree`: the shared prefix of the paths of one problem goes through the model once."""

    @model_validator(mode="after")
    def _fits(self) -> TrainVerifierConfig:
        if (self.targets is None) == (self.pairs is None):
            raise ValueError("give exactly one of `targets` and `pairs`")
        if self.pairs is not None:
            check_losses(self.losses, ("ranks",), "train_verifier with `pairs`", head=self.head)
        elif self.compares:
            check_losses(self.losses, ("ranks",), "train_verifier that compares paths", head=self.head)
        else:
            check_losses(self.losses, ("targets",), "train_verifier with `targets`", head=self.head)
        return self

    @property
    def compares(self) -> bool:
        """Whether the losses compare paths of a problem, or steps, instead of reading targets."""
        return any("ranks" in loss.reads for loss in self.losses)


@stage("train_verifier", version=3, outputs={"verifier": "verifier"}, distributed=True)
def train_verifier(config: TrainVerifierConfig, ctx: Context) -> None:
    """Train backbone and head, then publish them with the Format. An existing head is trained further unless `new_head`
    is set; UserError if it is read or scaled in another way."""
    from data_gen.checkpoints import has_lm_head
    from data_gen.models.elsewhere import weights_folder
    from data_gen.verifiers.checkpoint import Verifier, save_verifier
    from reasoning_train.models.policy import load_policy
    from reasoning_train.trainers.fit import TrainingSource, finish, fit
    from reasoning_train.trainers.heads import open_head, without_lm_head
    from reasoning_train.trainers.objective import Objective

    folder, lm_head = ctx.input(config.policy).path, config.head.kind == "from_vocab"
    gate(
        not lm_head or has_lm_head(weights_folder(folder)),
        f"train_verifier: head.kind 'from_vocab' reads the logits of a language model, but {config.policy} has "
        "none. Start from a model, or use kind 'scalar'.",
    )
    policy = load_policy(folder, lm_head=lm_head, **load_options(config, "train_verifier", ctx.deepspeed))
    rows, limit = _rows(config, policy, ctx)
    head = open_head(folder, config.head, policy.model, new=config.new_head)
    model = prepare(without_lm_head(policy.model, config.head), config)
    objective, out = Objective(model, config.losses, head, bf16=use_bf16(config.precision)), ctx.output("verifier")
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
    trained = finish(trainer, folder, merge=True, lm_head=lm_head)
    backbone = trained.model if lm_head else trained.model.base_model
    if rank() == 0:
        save_verifier(Verifier(backbone, trained.head, policy.tokenizer, policy.format, tuple(policy.end_ids)), out)


@train_verifier.check
def fits(config: TrainVerifierConfig, made: Made) -> Iterator[tuple[str, str]]:
    """An existing head has the same config; targets convert to the head's scale."""
    for maker, head in heads(made, config.policy):
        kept = head is not None and head.kind == "from_vocab"
        if config.head.kind == "from_vocab" and maker.uses == "train_verifier" and not kept:
            yield "head.kind", f"'from_vocab' reads the logits of a language model, but {maker.name!r} has none."
        elif head and not config.new_head and (said := _other_head(config.head, head, maker.name)):
            yield "head", said
    for maker in made.origins(config.targets) if config.targets else ():
        if maker.uses == "value_targets" and (said := unreadable(maker.config.targets.scale, config.head.scale)):
            yield "targets", f"{maker.name!r}: {said}"


@train_verifier.estimate
def cost(config: TrainVerifierConfig, sizes: Sizes) -> dict[str, Any]:
    """The memory of weights, gradients and optimizer."""
    return training_cost(config, config.policy, [ref for ref in (config.targets, config.pairs) if ref], sizes)


def _other_head(mine: HeadConfig, theirs: HeadConfig, name: str) -> str:
    mend = "repeat it in the recipe's head to continue with it, or start a new head (`new_head: true`)"
    return refused(mine.check_same, theirs, "the recipe's head", repr(name), more=("bias",), mend=mend)


def _rows(config: TrainVerifierConfig, policy: Policy, ctx: Context) -> tuple[list[Row], int]:
    """Rows to train on, and the maximum length of a path."""
    from reasoning_train.trainers.data.pairs import encode_pairs
    from reasoning_train.trainers.data.preflight import validate_rows
    from reasoning_train.trainers.data.values import encode_groups, encode_values

    limit, vocabulary = min(config.max_length or policy.context, policy.context), policy.vocabulary
    if config.pairs:
        pairs = (StepPair.from_row(row) for row in Rows(ctx.input(config.pairs).path))
        encoded = encode_pairs(pairs, policy.codec, limit, vocabulary=vocabulary, compare=True)
    else:
        assert config.targets is not None
        encode = encode_groups if config.compares else encode_values
        targets = (ValueTarget.from_row(row) for row in Rows(ctx.input(config.targets).path))
        encoded = encode(targets, policy.codec, config.head, limit, vocabulary=vocabulary)
    scale = None if config.compares else config.head.scale
    return validate_rows("train_verifier", encoded, config, ctx, limit, policy.codec, scale=scale), limit
