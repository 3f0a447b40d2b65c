"""Rows of `evaluate_verifier`: what a way to choose makes of the sampled solutions of a problem."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from data_gen.errors import UserError
from data_gen.records.problem import Problem
from data_gen.records.scales import Scale, as_weight
from data_gen.records.solution import Solution
from data_gen.search.votes import Ballot, ClassOf, Vote, elect
from data_gen.search.votes.charged import drawn_of
from data_gen.search.votes.majority import Majority
from data_gen.search.votes.subsets import elect_among
from data_gen.tasks.base import Task
from reasoning_train.evaluation.names import CHANCE, FIRST, MAJORITY
from reasoning_train.evaluation.votes import ABSTAINED
from reasoning_train.store.table_row import TableRow, of_problem, of_samples


@dataclass(frozen=True)
class Pool:
    """The verifiable solutions of one problem."""

    problem: Problem
    solutions: list[Solution]
    task: Task
    class_of: ClassOf
    """The class of each answer, as the task says."""

    @cached_property
    def sampled(self) -> dict[str, Any]:
        """The fields of every row that come from the pool itself."""
        return {**of_problem(self.problem), **of_samples(self.solutions, self.class_of)}

    @cached_property
    def generated(self) -> list[int]:
        """Tokens of each solution."""
        return [len(one.token_ids) for one in self.solutions]

    @cached_property
    def read(self) -> list[int]:
        """Tokens that a verifier reads of each solution, prompts included."""
        return [len(one.prompt_ids) + n for one, n in zip(self.solutions, self.generated, strict=True)]

    @cached_property
    def right(self) -> list[bool]:
        """Which solutions are right."""
        return [one.verdict == "correct" for one in self.solutions]


@dataclass(frozen=True, slots=True)
class Scored:
    """A pool with a verifier's score of each solution."""

    pool: Pool
    scores: list[float]
    scale: Scale
    """P if the verifier's scale converts to it."""

    @property
    def weights(self) -> list[float]:
        """Weight of each solution in a vote: P(right), or for rankings exp of the score minus the best score."""
        top = max(self.scores) if self.scale is Scale.RANKING else 0.0
        return [as_weight(score - top if score > -math.inf else score, self.scale) for score in self.scores]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    """What a way to choose took from a pool."""

    name: str
    strategy: str
    shown: Solution | None
    accuracy: float | None
    drawn: Sequence[float]
    """Chance of each solution of the pool to be drawn."""
    scored: bool = False
    """Whether a verifier reads what is drawn."""
    coverage: float | None = None
    confidence: float | None = None
    oracle: bool = False

    def row(self, pool: Pool) -> TableRow:
        """The row, with the measures of the shown solution."""
        generated = sum(chance * n for chance, n in zip(self.drawn, pool.generated, strict=True))
        scored = sum(chance * n for chance, n in zip(self.drawn, pool.read, strict=True)) if self.scored else 0.0
        calls = sum(self.drawn)
        cut = sum(chance * (one.finish == "length") for chance, one in zip(self.drawn, pool.solutions, strict=True))
        unanswered = "wrong" if self.coverage is None else ABSTAINED
        return TableRow(
            policy=self.name,
            strategy=self.strategy,
            verdict=str(self.shown.verdict) if self.shown else unanswered,
            accuracy=self.accuracy,
            coverage=self.coverage,
            confidence=self.confidence,
            cut=cut / calls,
            answer=self.shown.answer if self.shown else None,
            tokens=generated + scored,
            generated_tokens=generated,
            scored_tokens=scored,
            calls=calls,
            oracle=self.oracle,
            measures=pool.task.measure(pool.problem, self.shown) if self.shown else {},
            solution=self.shown.text if self.shown else "",
            **pool.sampled,
        )


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A solution as votes see it, identified by its number in the pool."""

    number: int
    answer: str | None
    outcome: float


def unscored_rows(pool: Pool) -> Iterator[TableRow]:
    """Rows of the ways to choose that need no verifier."""
    yield majority_row(pool)
    every, right = pool.solutions, pool.right
    distinct = list({one.text: (one, good) for one, good in zip(every, right, strict=True)}.values())
    chance = sum(good for _, good in distinct) / len(distinct)
    drawn, all_of = f"{len(every)} samples, any distinct one", [1.0] * len(every)
    yield _Chosen(name=CHANCE, strategy=drawn, shown=distinct[0][0], accuracy=chance, drawn=all_of).row(pool)
    first, good, one = every[0], float(right[0]), [1.0, *[0.0] * (len(every) - 1)]
    yield _Chosen(name=FIRST, strategy="1 sample", shown=first, accuracy=good, drawn=one).row(pool)


def majority_row(pool: Pool, n: int | None = None) -> TableRow:
    """The row of the majority vote, over n solutions or all."""
    return _vote(MAJORITY, Majority(), pool, [1.0] * len(pool.solutions), n, scored=False)


def elected_row(name: str, vote: Vote, scored: Scored, n: int | None = None) -> TableRow:
    """The row of a vote over a verifier's scores, over n solutions or all. UserError if scores of a ranking are to be
    compared with a bar."""
    if vote.has_bar and scored.scale is Scale.RANKING:
        raise UserError(
            f"votes: {vote.uses!r} compares scores with a bar, but {name!r} ranks the solutions of one problem, and "
            "its scores mean nothing across problems. Calibrate the verifier, or use a vote without a bar."
        )
    return _vote(name, vote, scored.pool, scored.weights, n, scored=True)


def _vote(name: str, vote: Vote, pool: Pool, weights: Sequence[float], n: int | None, *, scored: bool) -> TableRow:
    """The row of a vote over the whole pool, or over n of its solutions at the share of the pool's cost that is drawn.
    As in trees, a solution without an answer casts no ballot."""
    measures = vote.measures()
    voters = enumerate(zip(pool.solutions, pool.right, weights, strict=True))
    cast = [
        Ballot(
            _Candidate(i, one.answer, float(good)),
            1,
            weight,
            {measure: measure.of(pool.task, pool.problem, one) for measure in measures},
        )
        for i, (one, good, weight) in voters
        if one.answer is not None
    ]
    key, size = pool.problem.id, len(pool.solutions)
    chosen = (
        elect_among(cast, size - len(cast), n, vote, pool.class_of, key) if n else elect(cast, vote, pool.class_of, key)
    )
    stopping = {ballot.leaf.number for ballot in cast if vote.stops(ballot.score)}
    drawn = drawn_of(size, len(stopping), n or size)
    return _Chosen(
        name=name if n is None else f"{name}@{n}",
        strategy=f"{n or size} samples, {vote.uses}",
        shown=pool.solutions[chosen.leaf.number] if chosen.leaf else None,
        accuracy=chosen.accuracy,
        coverage=1 - chosen.abstained if vote.abstains else None,
        confidence=chosen.confidence,
        drawn=[drawn.stopping if i in stopping else drawn.other for i in range(size)],
        scored=scored,
        oracle=any(measure.reads_gold for measure in measures),
    ).row(pool)
