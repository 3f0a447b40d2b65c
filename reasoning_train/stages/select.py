"""`select`: filters sampled solutions for training. Rejection sampling keeps the correct ones."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from data_gen.engines.base import stream_seed
from data_gen.errors import UserError
from data_gen.records.solution import Solution
from data_gen.records.verdict import Verdict
from data_gen.similarity import jaccard, shingles
from reasoning_train.api.refs import ModelRef, SolutionsRef
from reasoning_train.api.stage import Context, Gate, Made, Sizes, StageConfig, gate, stage
from reasoning_train.stages.fits import text_only, without_step_checker
from reasoning_train.store.inputs import read_solutions
from reasoning_train.store.rows import write_rows
from reasoning_train.trainers.data.as_many import fewer_rows, one_at_most, read_wanted


class SelectConfig(StageConfig):
    """Filters, in the order in which they apply."""

    solutions: SolutionsRef
    keep: Literal["correct", "wrong", "any"] = "correct"
    """`correct`, `wrong`: solutions with this verdict. `any`: both (the control of a rejection-sampling run). Cut and
    unverifiable solutions are always dropped, so that the control differs only in the verdict."""
    steps: Literal["any", "right"] = "any"
    """`right`: drop solutions in which the task's step checker found a wrong step."""
    dedupe: Literal["none", "exact", "near"] = "exact"
    """Drop duplicates within a problem: `exact` by text, `near` by a word 3-gram Jaccard similarity of at least
    `near`."""
    near: float = Field(0.8, gt=0, le=1)
    max_per_problem: int | None = Field(None, ge=1)
    balance: bool = False
    """Reduce every difficulty to the median number of rows per difficulty."""
    as_many_as: SolutionsRef | None = None
    """Draw exactly as many rows as another selection has."""
    as_many_tokens_as: SolutionsRef | None = None
    """Draw rows until they have as many trained tokens as another selection, to within half a row."""
    policy: ModelRef | None = None
    """The policy to be trained. Its tokenizer counts the tokens of text-only rows, such as gold. Only for
    `as_many_tokens_as`."""
    min_rows: Annotated[int, Gate()] = Field(1, ge=1)

    @model_validator(mode="after")
    def _fits(self) -> SelectConfig:
        one_at_most(self)
        if self.policy and not self.as_many_tokens_as:
            raise ValueError("policy: it only counts tokens for `as_many_tokens_as`; leave it out")
        return self


@stage("select", version=2, outputs={"data": "solutions"}, heavy=False, carries="solutions")
def select(config: SelectConfig, ctx: Context) -> None:
    """Two passes over the rows: choose (only row numbers stay in memory), then write."""
    source, tokens_of = ctx.input(config.solutions), _counter(config, ctx)
    chosen = list(_choose(read_solutions(source), config, tokens_of, ctx))
    if config.balance:
        chosen = _balance(chosen, ctx)
    if wanted := read_wanted(config, ctx, lambda row: tokens_of(Solution.from_row(row))):
        indices = wanted.choose([one.tokens for one in chosen], ctx.seed, "select", ADVICE)
        ctx.count(f"dropped.{wanted.said.partition('=')[0]}", len(chosen) - len(indices))
        chosen = [chosen[i] for i in indices]
    if config.as_many_tokens_as:
        ctx.metric("trained_tokens", sum(one.tokens for one in chosen))
    numbers = {one.number for one in chosen}
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
    """`steps: right` needs a task that can check steps. Tokens of text can be counted."""
    if config.as_many_tokens_as and not config.policy:
        for ref in (config.solutions, config.as_many_tokens_as):
            for name in text_only(made, ref):
                yield (
                    "policy",
                    f"as_many_tokens_as counts tokens, but {name!r} gives text only. {COUNTER}",
                )
    for maker in made.origins(config.solutions) if config.steps == "right" else ():
        if maker.uses == "sample":
            for task in without_step_checker(made, maker.config.problems):
                yield "steps", f"'right' needs a task that can check steps (as chain does), and {task!r} cannot."


@select.estimate
def size(config: SelectConfig, sizes: Sizes) -> dict[str, Any]:
    """At most all rows, or as many as `as_many_as` has."""
    return fewer_rows(config, sizes(config.solutions).get("rows"), sizes)


COUNTER = "Give `policy`, the model that learns these rows; its tokenizer counts their tokens."
ADVICE = "Lower the other selection's `max_per_problem`, or use `dedupe: none` here."


@dataclass(frozen=True, slots=True)
class _Chosen:
    """A row by its number in the source."""

    number: int
    difficulty: float | None
    tokens: float
    """Trained tokens; 0 unless they are needed."""


Counted = Callable[[Solution], float]


def _counter(config: SelectConfig, ctx: Context) -> Counted:
    """A function that counts the trained tokens of a row; 0 unless they are needed. It raises UserError for text-only
    rows without `policy`."""
    if not config.as_many_tokens_as:
        return lambda solution: 0.0
    codec = None
    if config.policy:
        from reasoning_train.models.policy_text import load_policy_text

        codec = load_policy_text(ctx.input(config.policy).path).codec

    def count(solution: Solution) -> float:
        """Trained tokens of a solution."""
        if solution.token_ids:
            return solution.trained_tokens
        if codec is None:
            raise UserError(
                f"select: as_many_tokens_as counts tokens, but the solution of problem {solution.problem_id!r} "
                f"is text only. {COUNTER}"
            )
        encoded = codec.encode(solution.segments, end=True)
        return replace(solution, segments=encoded).trained_tokens

    return count


def _choose(solutions: Iterable[Solution], config: SelectConfig, tokens_of: Counted, ctx: Context) -> Iterator[_Chosen]:
    groups = itertools.groupby(enumerate(solutions), key=lambda row: row[1].problem_id)
    for problem_id, group in groups:
        rows = [(i, s) for i, s in group if _passes(s, config, ctx)]
        kept = _distinct(rows, config)
        ctx.count("dropped.duplicate", len(rows) - len(kept))
        if config.max_per_problem and len(kept) > config.max_per_problem:
            ctx.count("dropped.max_per_problem", len(kept) - config.max_per_problem)
            rng = random.Random(stream_seed(ctx.seed, "select", problem_id))
            kept = sorted(rng.sample(kept, config.max_per_problem), key=lambda row: row[0])
        yield from (_Chosen(i, s.difficulty, tokens_of(s)) for i, s in kept)


VERDICTS = {
    "correct": {Verdict.CORRECT},
    "wrong": {Verdict.WRONG},
    "any": {Verdict.CORRECT, Verdict.WRONG},
}


def _passes(solution: Solution, config: SelectConfig, ctx: Context) -> bool:
    ctx.count("in")
    if solution.verdict not in VERDICTS[config.keep]:
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


def _balance(chosen: list[_Chosen], ctx: Context) -> list[_Chosen]:
    sizes = Counter(one.difficulty for one in chosen)
    cap = sorted(sizes.values())[len(sizes) // 2] if sizes else 0
    rng, kept = random.Random(stream_seed(ctx.seed, "balance")), list[_Chosen]()
    for level in sorted(sizes, key=str):
        rows = [one for one in chosen if one.difficulty == level]
        kept += rng.sample(rows, min(cap, len(rows)))
    ctx.count("dropped.balance", len(chosen) - len(kept))
    return sorted(kept, key=lambda one: one.number)
