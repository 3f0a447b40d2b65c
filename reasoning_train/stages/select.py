"""`select`: which sampled solutions are worth training on. Rejection sampling keeps the correct ones."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from pydantic import Field

from data_gen.engines.base import stream_seed
from data_gen.records.solution import Solution
from data_gen.records.verdict import Verdict
from data_gen.similarity import jaccard, shingles
from reasoning_train.api.refs import SolutionsRef
from reasoning_train.api.stage import Context, Made, Sizes, StageConfig, gate, stage
from reasoning_train.stages.fits import without_step_checker
from reasoning_train.store.inputs import read_solutions
from reasoning_train.store.rows import write_rows


class SelectConfig(StageConfig):
    """Filters in the order in which they apply."""

    solutions: SolutionsRef
    keep: Literal["correct", "any"] = "correct"
    """`correct`: the verdict says so. `any`: right and wrong ones alike (the control of a rejection-sampling run).
    Solutions that were cut and unverifiable ones are dropped either way: nobody could have kept those."""
    steps: Literal["any", "right"] = "any"
    """`right`: drop solutions in which the task's step checker found a wrong step."""
    dedupe: Literal["none", "exact", "near"] = "exact"
    """Within a problem: same text, or word 3-gram Jaccard similarity of at least `near`."""
    near: float = Field(0.8, gt=0, le=1)
    max_per_problem: int | None = Field(None, ge=1)
    balance: bool = False
    """Cut every difficulty to the size of the median one."""
    as_many_as: SolutionsRef | None = None
    """Draw exactly as many rows as another selection has."""
    min_rows: int = Field(1, ge=1)


@stage("select", version=2, outputs={"data": "solutions"}, heavy=False, carries="solutions")
def select(config: SelectConfig, ctx: Context) -> None:
    """Two passes over the rows: choose (row numbers only in memory), then write."""
    source = ctx.input(config.solutions)
    chosen = list(_choose(read_solutions(source), config, ctx))
    if config.balance:
        chosen = _balance(chosen, ctx)
    if config.as_many_as:
        chosen = _as_many(chosen, sum(1 for _ in read_solutions(ctx.input(config.as_many_as))), config, ctx)
    numbers = {number for number, _ in chosen}
    ctx.count("out", len(numbers))
    gate(
        len(numbers) >= config.min_rows,
        f"select: {len(numbers)} rows left, fewer than min_rows={config.min_rows} (pass rate of {config.solutions}: "
        f"{source.manifest.get('metrics', {}).get('pass_rate', 'unknown')}). Sample more or filter less.",
    )
    rows = (s.to_row() for i, s in enumerate(read_solutions(source)) if i in numbers)
    write_rows(ctx.output("data"), kind="solutions", rows=rows)


@select.check
def fits(config: SelectConfig, made: Made) -> Iterator[tuple[str, str]]:
    """Steps are right or wrong only where the task can check them."""
    for maker in made.origins(config.solutions) if config.steps == "right" else ():
        if maker.uses == "sample":
            for task in without_step_checker(made, maker.config.problems):
                yield "steps", f"'right' needs a task that can check steps (as chain does), and {task!r} cannot."


@select.estimate
def size(config: SelectConfig, sizes: Sizes) -> dict[str, Any]:
    """At most all rows."""
    return {name: value for name, value in sizes(config.solutions).items() if name == "rows"}


Chosen = tuple[int, float | None]
"""Row number in the source, difficulty."""


def _choose(solutions: Iterable[Solution], config: SelectConfig, ctx: Context) -> Iterator[Chosen]:
    groups = itertools.groupby(enumerate(solutions), key=lambda row: row[1].problem_id)
    for problem_id, group in groups:
        rows = [(i, s) for i, s in group if _passes(s, config, ctx)]
        kept = _distinct(rows, config)
        ctx.count("dropped.duplicate", len(rows) - len(kept))
        if config.max_per_problem and len(kept) > config.max_per_problem:
            ctx.count("dropped.max_per_problem", len(kept) - config.max_per_problem)
            rng = random.Random(stream_seed(ctx.seed, "select", problem_id))
            kept = sorted(rng.sample(kept, config.max_per_problem), key=lambda row: row[0])
        yield from ((i, s.difficulty) for i, s in kept)


def _passes(solution: Solution, config: SelectConfig, ctx: Context) -> bool:
    ctx.count("in")
    verdicts = {Verdict.CORRECT} if config.keep == "correct" else {Verdict.CORRECT, Verdict.WRONG}
    if solution.verdict not in verdicts:
        ctx.count(f"dropped.{solution.verdict}")
        return False
    if solution.finish == "length":
        ctx.count("dropped.cut_by_length_limit")
        return False
    if config.steps == "right" and solution.steps_ok is False:
        ctx.count("dropped.wrong_step")
        return False
    return True


def _distinct(rows: Sequence[tuple[int, Solution]], config: SelectConfig) -> list[tuple[int, Solution]]:
    """First of each set of (near) duplicates; a problem has few samples, so all pairs are compared."""
    if config.dedupe == "none":
        return list(rows)
    kept: list[tuple[int, Solution]] = []
    seen: list[set[str]] = []
    for row in rows:
        grams = shingles(row[1].text) if config.dedupe == "near" else {row[1].text}
        bar = config.near if config.dedupe == "near" else 1.0
        if all(jaccard(grams, other) < bar for other in seen):
            kept.append(row)
            seen.append(grams)
    return kept


def _balance(chosen: list[Chosen], ctx: Context) -> list[Chosen]:
    sizes = Counter(difficulty for _, difficulty in chosen)
    cap = sorted(sizes.values())[len(sizes) // 2] if sizes else 0
    rng, kept = random.Random(stream_seed(ctx.seed, "balance")), list[Chosen]()
    for level in sorted(sizes, key=str):
        rows = [row for row in chosen if row[1] == level]
        kept += rng.sample(rows, min(cap, len(rows)))
    ctx.count("dropped.balance", len(chosen) - len(kept))
    return sorted(kept, key=lambda row: row[0])


def _as_many(chosen: list[Chosen], wanted: int, config: SelectConfig, ctx: Context) -> list[Chosen]:
    gate(
        len(chosen) >= wanted,
        f"select: as_many_as={config.as_many_as} asks for {wanted} rows, only {len(chosen)} are left. "
        "Lower the other selection's `max_per_problem`, or use `dedupe: none` here.",
    )
    ctx.count("dropped.as_many_as", len(chosen) - wanted)
    return random.Random(stream_seed(ctx.seed, "as_many_as")).sample(chosen, wanted)
