"""`value_targets`: target values for a verifier along the paths of trees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from data_gen.errors import excerpt
from data_gen.labelling.paths import PathPolicy
from data_gen.labelling.reach import ends
from data_gen.labelling.targets import TARGET_RULES
from data_gen.labelling.values import Multiplicity
from data_gen.records.labels import ValueTarget
from reasoning_train.api.refs import ModelRef, TreesRef, ValueTargetsRef
from reasoning_train.api.stage import Context, Gate, Made, Sizes, StageConfig, gate, stage
from reasoning_train.stages.fits import lacking
from reasoning_train.store.rows import write_rows
from reasoning_train.trainers.data.as_many import cut, fewer_rows, one_at_most

if TYPE_CHECKING:
    from data_gen.labelling.targets import TargetRule
    from reasoning_train.trainers.data.label_counts import Histogram

    AnyRule = TargetRule
else:
    AnyRule = TARGET_RULES.union()


class ValueTargetsConfig(StageConfig):
    """Which target values on which paths."""

    trees: TreesRef
    policy: ModelRef
    """The policy that grew the trees. Its tokenizer and Format split them into steps."""
    targets: AnyRule
    paths: PathPolicy = PathPolicy(correct=4, wrong=4)
    """Which paths of a problem become rows. Paths cut by a limit count as wrong."""
    multiplicity: Multiplicity = "paths"
    """`paths`: the target of a step shared by k rows counts k times. `unique`: each has weight 1/k, so that it counts
    once, as in the tree."""
    shrink: float = Field(0.0, ge=0)
    """A target from n observations has weight n / (n + shrink)."""
    as_many_as: ValueTargetsRef | None = None
    """Draw exactly as many paths as another selection has."""
    as_many_tokens_as: ValueTargetsRef | None = None
    """Draw paths until they have as many targets, counted by weight, as another selection, to within half a path."""
    min_rows: Annotated[int, Gate()] = Field(1, ge=1)
    min_share: Annotated[float, Gate()] = Field(0.0, ge=0, lt=0.5)
    """The rarer of the hard labels right and wrong must have at least one target and at least this share of them."""

    @model_validator(mode="after")
    def _fits(self) -> ValueTargetsConfig:
        one_at_most(self)
        return self


@stage("value_targets", version=1, outputs={"data": "value_targets"}, learns="labels")
def value_targets(config: ValueTargetsConfig, ctx: Context) -> None:
    """Stream problem by problem; only counts stay in memory."""
    from reasoning_train.trainers.data.label_counts import Histogram, gate_classes

    seen = _Seen(Histogram(f"targets on scale {config.targets.scale}", config.targets.scale))
    rows = cut(_rows(config, ctx), ValueTarget, "value_targets", config, ctx, name="value_targets", advice=ADVICE)
    n = write_rows(ctx.output("data"), kind="value_targets", rows=(row.to_row() for row in seen.noting(rows)))
    ctx.count("out", n)
    ctx.count("targets", seen.targets)
    ctx.metric("trained_tokens", seen.tokens)
    ctx.metric("labels", seen.values.metric())
    ctx.metric("right_share_of_steps", seen.hard[True] / max(1, seen.hard.total()))
    ctx.metric("informed_targets", seen.informed / max(1, seen.targets))
    gate(
        n >= config.min_rows,
        f"value_targets: {n} rows, fewer than min_rows={config.min_rows}: no path of the trees of {config.trees} has a "
        f"{config.targets.uses!r} target. Rule 'mc' needs rollouts, 'q' visits, 'exact_steps' a task that can check "
        "steps and a search with `gold: true`, and all of them problems with verifiable answers.",
    )
    gate_classes("value_targets", seen.hard, config.min_share, "step targets", seen.first)


@value_targets.check
def fits(config: ValueTargetsConfig, made: Made) -> Iterator[tuple[str, str]]:
    """The trees hold what the rule and the path policy read."""
    for said in lacking(made, config.trees, config.targets.reads, f"rule {config.targets.uses!r}"):
        yield "targets", said
    for said in lacking(made, config.trees, config.paths.reads, "the path policy"):
        yield "paths", said


@value_targets.estimate
def size(config: ValueTargetsConfig, sizes: Sizes) -> dict[str, Any]:
    """At most the number of paths asked for, or as many as `as_many_as` has."""
    trees, most = sizes(config.trees).get("records"), (config.paths.correct, config.paths.wrong)
    paths = None if trees is None or None in most else trees * sum(k for k in most if k is not None)
    return fewer_rows(config, paths, sizes)


ADVICE = "Raise `paths.correct` and `paths.wrong` here, or lower them in the other selection."


@dataclass(slots=True)
class _Seen:
    """Counts over the rows as they stream by."""

    values: Histogram
    hard: Counter[bool] = field(default_factory=Counter)
    """Hard labels of steps."""
    targets: int = 0
    informed: int = 0
    """Targets from at least two observations."""
    first: dict[bool, str] = field(default_factory=dict)
    """The first row with a step of each label."""

    tokens: float = 0.0
    """Sum of the targets' weights."""

    def noting(self, rows: Iterable[ValueTarget]) -> Iterator[ValueTarget]:
        """Yield the rows and count each one."""
        for row in rows:
            self._add(row)
            yield row

    def _add(self, row: ValueTarget) -> None:
        self.values.add(row.values)
        self.tokens += row.trained_tokens
        for label in row.labels:
            if label is not None:
                self.hard[label] += 1
                if label not in self.first:
                    self.first[label] = f"problem {row.problem_id!r}, {excerpt(''.join(row.completions))}"
        self.targets += len(row.at)
        self.informed += sum(n >= 2 for n in row.n_eff)


def _rows(config: ValueTargetsConfig, ctx: Context) -> Iterator[ValueTarget]:
    from data_gen.labelling.values import value_targets
    from reasoning_train.stages.labelling import count_drops, open_codec, problem_trees, refusals, stream

    codec = open_codec(ctx, config.policy)
    for problem_id, trees in problem_trees(ctx.input(config.trees), codec):
        ctx.count("in", sum(len(ends(tree)) for tree in trees))
        paths, dropped = config.paths.choose(trees, stream(ctx.seed, "value_targets", problem_id), whole=False)
        with refusals("value_targets", config.trees):
            rows = value_targets(paths, config.targets, multiplicity=config.multiplicity, shrink=config.shrink)
        count_drops(ctx, {**dropped, "no_target": len(paths) - len(rows)})
        yield from rows
