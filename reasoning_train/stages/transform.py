"""`transform`: changes solutions for training by a list of transforms, applied in order (data_gen/transforms).

Where a transform changed what a solution says, its answer and steps are read and judged again, as a sample's are.

short:  {uses: transform, problems: "${task.train}", solutions: "${task.train.gold}", apply: [{uses: keep_last, n: 1}]}
gaps:   {uses: transform, problems: "${task.train}", solutions: "${stages.kept}", copies: 4,
         apply: [{uses: drop, levels: [{share: 0.3}]}, {uses: mask, weights: {answer: 2}}]}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from data_gen.records.problem import Problem
from data_gen.records.solution import Solution
from data_gen.tasks import Task
from data_gen.transforms import TRANSFORMS
from data_gen.transforms.base import apply_all
from reasoning_train.api.refs import ProblemsRef, SolutionsRef
from reasoning_train.api.stage import Context, Gate, Made, Sizes, StageConfig, gate, stage
from reasoning_train.stages.fits import other_problems
from reasoning_train.store.inputs import load_task, read_problems, read_solutions, with_solutions
from reasoning_train.store.rows import write_rows

if TYPE_CHECKING:
    from data_gen.transforms import Transform

    AnyTransform = Transform
else:
    AnyTransform = TRANSFORMS.union()


class TransformConfig(StageConfig):
    """Which transforms are applied to which solutions."""

    problems: ProblemsRef
    """The problems that the solutions answer, in the same order. Transforms may read them."""
    solutions: SolutionsRef
    apply: list[AnyTransform] = Field(min_length=1)
    """Transforms, applied in order."""
    copies: int = Field(1, ge=1)
    """How often the transforms are applied to all rows, each time with new random choices, e.g. one copy per training
    epoch. The rows of a copy do not depend on how many there are."""
    min_rows: Annotated[int, Gate()] = Field(1, ge=1)
    max_dropped: Annotated[float, Gate()] = Field(1.0, ge=0, le=1)
    """Largest share of rows that the transforms may drop; above it the stage fails."""


@stage("transform", version=2, outputs={"data": "solutions"}, heavy=False, carries="solutions")
def transform(config: TransformConfig, ctx: Context) -> None:
    """Stream problem by problem; only counts stay in memory. Choices that transforms tag are counted by name."""
    problems, solutions = (ctx.input(ref) for ref in (config.problems, config.solutions))
    task, lost, seen, chosen = load_task(problems), Counter[str](), 0, Counter[str]()

    def made() -> Iterator[dict[str, Any]]:
        nonlocal seen
        for problem, given in with_solutions(read_problems(problems), read_solutions(solutions)):
            seen += config.copies * len(given)
            for row in _transformed(problem, given, config, task, lost, ctx.seed):
                chosen.update(_choices(row, config))
                yield row.to_row()

    n = write_rows(ctx.output("data"), "solutions", made())
    ctx.count("in", seen)
    ctx.count("out", n)
    for name, count in sorted(chosen.items()):
        ctx.count(name, count)
    for name, count in sorted(lost.items()):
        ctx.count(f"dropped.{name}", count)
    said = ", ".join(f"{count} by {name!r}" for name, count in sorted(lost.items())) or "none"
    gate(n >= config.min_rows, f"transform: {n} rows, fewer than min_rows={config.min_rows} (left out: {said}).")
    gate(
        lost.total() <= config.max_dropped * seen,
        f"transform: {lost.total()} of {seen} rows were left out ({said}), more than max_dropped={config.max_dropped}. "
        "Raise it, or change what the transforms leave out.",
    )


@transform.check
def fits(config: TransformConfig, made: Made) -> Iterator[tuple[str, str]]:
    """The solutions answer these problems."""
    for message in other_problems(made, config.solutions, config.problems):
        yield "solutions", message


@transform.estimate
def size(config: TransformConfig, sizes: Sizes) -> dict[str, Any]:
    """What the transforms make of the solutions, times `copies`."""
    rows = sizes(config.solutions).get("rows")
    for one in config.apply:
        rows = None if rows is None else one.size(rows)
    return {} if rows is None else {"rows": rows * config.copies}


def _transformed(
    problem: Problem,
    given: Sequence[Solution],
    config: TransformConfig,
    task: Task,
    lost: Counter[str],
    seed: int,
) -> list[Solution]:
    """The rows of all copies, renumbered if numbers would repeat."""
    found: list[Solution] = []
    for copy in range(config.copies):
        rows = list(given)
        for applied, left in apply_all(config.apply, problem, given, seed=seed, copy=copy, task=task):
            lost[applied.uses] += (Counter(row.sample for row in rows) - Counter(row.sample for row in left)).total()
            rows = left
        found += rows
    if len({row.sample for row in found}) == len(found):
        return found
    return [replace(row, sample=number) for number, row in enumerate(found)]


def _choices(row: Solution, config: TransformConfig) -> Iterator[str]:
    """`drop.2`: counters of the choices that made a row."""
    return (f"{name}.{row.tags[name]}" for name in sorted({one.uses for one in config.apply}) if name in row.tags)
