"""`recode_targets`, `recode_pairs`: recode labels for a verifier with another tokenizer or template than the policy.

labels: {uses: value_targets, trees: "${stages.trees}", policy: "${stages.base}", targets: {uses: mc}}
theirs: {uses: recode_targets, targets: "${stages.labels}", policy: "${stages.base}", model: "${stages.large}",
         problems: "${task.explore}"}
prm:    {uses: train_verifier, policy: "${stages.large}", targets: "${stages.theirs}", learning_rate: 1e-3, epochs: 3}
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import Field

from data_gen.errors import UserError
from data_gen.records.labels import StepPair, ValueTarget
from reasoning_train.api.refs import BackboneRef, ModelRef, PairsRef, ProblemsRef, Ref, ValueTargetsRef
from reasoning_train.api.stage import Context, Gate, Made, StageConfig, gate, rows_of, stage
from reasoning_train.store.rows import Rows, write_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from data_gen.labelling.recode import Recoder
    from data_gen.records.problem import Problem

Label = TypeVar("Label", ValueTarget, StepPair)


class RecodeConfig(StageConfig):
    """From the tokens of which policy to those of which model."""

    policy: ModelRef
    """The policy that grew the trees. The rows contain its tokens."""
    model: BackboneRef
    """The model to be trained on the rows, with its own tokenizer and template."""
    problems: ProblemsRef
    """The problems that the trees were grown for. Their questions are encoded with the model's template."""
    min_rows: Annotated[int, Gate()] = Field(1, ge=1)


class RecodeTargetsConfig(RecodeConfig):
    """Which value targets are recoded."""

    targets: ValueTargetsRef
    """Targets at ends of steps. Token-level targets (rule `prefix_ratio`) cannot be mapped to other tokens."""


class RecodePairsConfig(RecodeConfig):
    """Which pairs are recoded."""

    pairs: PairsRef


@stage("recode_targets", version=1, outputs={"data": "value_targets"}, seeded=False)
def recode_targets(config: RecodeTargetsConfig, ctx: Context) -> None:
    """Recode row by row. A path is counted and dropped if a token of the model spans two steps."""
    recoder = _recoder(config, ctx)
    rows = (ValueTarget.from_row(row) for row in Rows(ctx.input(config.targets).path))
    _write("recode_targets", "value_targets", _recoded(rows, recoder.target, config, ctx), config, ctx)


@recode_targets.check
def fits(config: RecodeTargetsConfig, made: Made) -> Iterator[tuple[str, str]]:
    """Only ends of steps correspond between tokenizers, so token-level targets are refused."""
    for maker in made.origins(config.targets):
        if maker.uses == "value_targets" and getattr(maker.config.targets, "level", "steps") == "tokens":
            yield (
                "targets",
                f"{maker.name!r} makes a value for every token, but between tokenizers only ends of steps "
                "correspond. Give its rule `level: steps`, or train a model with the policy's tokenizer.",
            )


@stage("recode_pairs", version=1, outputs={"data": "pairs"}, seeded=False)
def recode_pairs(config: RecodePairsConfig, ctx: Context) -> None:
    """Recode row by row. A pair is counted and dropped if a token of the model spans the shared steps and a side."""
    recoder = _recoder(config, ctx)
    rows = (StepPair.from_row(row) for row in Rows(ctx.input(config.pairs).path))
    _write("recode_pairs", "pairs", _recoded(rows, recoder.pair, config, ctx), config, ctx)


recode_targets.estimate(rows_of("targets"))


recode_pairs.estimate(rows_of("pairs"))


def _recoder(config: RecodeConfig, ctx: Context) -> Recoder:
    from data_gen.labelling.recode import Recoder
    from reasoning_train.models.policy_text import load_policy_text

    own, policy = (load_policy_text(ctx.input(ref).path).codec for ref in (config.model, config.policy))
    return Recoder(own, policy)


def _recoded(
    rows: Iterable[Label], recode: Callable[[Label, Problem], Label | None], config: RecodeConfig, ctx: Context
) -> Iterator[dict[str, Any]]:
    from reasoning_train.store.inputs import read_problems

    problems = {problem.id: problem for problem in read_problems(ctx.input(config.problems))}
    for row in rows:
        ctx.count("in")
        if row.problem_id not in problems:
            raise UserError(_unknown(row.problem_id, config.problems))
        made = recode(row, problems[row.problem_id])
        if made is None:
            ctx.count("dropped.steps_merged")
        else:
            ctx.count("out")
            yield made.to_row()


def _unknown(problem_id: str, problems: Ref) -> str:
    return (
        f"problems: {problems} has no problem {problem_id!r}, to which a row belongs. Give the problems that the "
        "trees were grown for."
    )


def _write(name: str, kind: str, rows: Iterator[dict[str, Any]], config: RecodeConfig, ctx: Context) -> None:
    n = write_rows(ctx.output("data"), kind=kind, rows=rows)
    gate(
        n >= config.min_rows,
        f"{name}: {n} rows, fewer than min_rows={config.min_rows}: the tokens of {config.model} run across the ends of "
        "steps. Use a model whose tokenizer keeps the step delimiter apart.",
    )
