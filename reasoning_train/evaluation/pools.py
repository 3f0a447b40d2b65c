"""Rows of `evaluate_verifier`: what a way to choose makes of the sampled solutions of a problem."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from data_gen.records.problem import Problem
from data_gen.records.scales import Scale, as_weight
from data_gen.records.solution import Solution
from data_gen.search.votes import Ballot, ClassOf, Vote, elect
from data_gen.search.votes.majority import Majority
from data_gen.search.votes.subsets import elect_among
from data_gen.tasks.base import Task
from reasoning_train.evaluation.names import CHANCE, FIRST, MAJORITY
from reasoning_train.store.table_row import TableRow, of_problem, of_samples


@dataclass(frozen=True, slots=True)
class Pool:
    """The verifiable solutions of one problem."""

    problem: Problem
    solutions: list[Solution]
    task: Task
    class_of: ClassOf
    """The class of each answer, as the task says."""

    @property
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
    drawn: Sequence[Solution]
    """The samples that this way of choosing needs."""
    read: Sequence[Solution] = ()
    """Those that a verifier read, prompts included."""

    def row(self, pool: Pool) -> TableRow:
        """The row, with the measures of the shown solution."""
        generated = sum(len(one.token_ids) for one in self.drawn)
        scored = sum(len(one.prompt_ids) + len(one.token_ids) for one in self.read)
        return TableRow(
            policy=self.name,
            strategy=self.strategy,
            **of_problem(pool.problem),
            verdict=str(self.shown.verdict) if self.shown else "wrong",
            accuracy=self.accuracy,
            cut=sum(one.finish == "length" for one in self.drawn) / len(self.drawn),
            answer=self.shown.answer if self.shown else None,
            tokens=generated + scored,
            generated_tokens=generated,
            scored_tokens=scored,
            measures=pool.task.measure(pool.problem, self.shown) if self.shown else {},
            solution=self.shown.text if self.shown else "",
            **of_samples(pool.solutions, pool.class_of),
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
    drawn = f"{len(every)} samples, any distinct one"
    yield _Chosen(name=CHANCE, strategy=drawn, shown=distinct[0][0], accuracy=chance, drawn=every).row(pool)
    first, good = every[0], float(right[0])
    yield _Chosen(name=FIRST, strategy="1 sample", shown=first, accuracy=good, drawn=every[:1]).row(pool)


def majority_row(pool: Pool, n: int | None = None) -> TableRow:
    """The row of the majority vote, over n solutions or all."""
    return _vote(MAJORITY, Majority(), pool, [1.0] * len(pool.solutions), n)


def elected_row(name: str, vote: Vote, scored: Scored, n: int | None = None) -> TableRow:
    """The row of a vote over a verifier's scores, over n solutions or all."""
    return _vote(name, vote, scored.pool, scored.weights, n, read=scored.pool.solutions)


def _vote(
    name: str, vote: Vote, pool: Pool, weights: Sequence[float], n: int | None, read: Sequence[Solution] = ()
) -> TableRow:
    """The row of a vote over the whole pool, or over n of its solutions at n / pool size of the pool's cost. As in
    trees, a solution without an answer casts no ballot."""
    voters = enumerate(zip(pool.solutions, pool.right, weights, strict=True))
    cast = [
        Ballot(_Candidate(i, one.answer, float(good)), 1, weight)
        for i, (one, good, weight) in voters
        if one.answer is not None
    ]
    key, size = pool.problem.id, len(pool.solutions)
    chosen = (
        elect_among(cast, size - len(cast), n, vote, pool.class_of, key) if n else elect(cast, vote, pool.class_of, key)
    )
    row = _Chosen(
        name=name if n is None else f"{name}@{n}",
        strategy=f"{n or size} samples, {vote.uses}",
        shown=pool.solutions[chosen.leaf.number] if chosen.leaf else None,
        accuracy=chosen.accuracy,
        drawn=pool.solutions,
        read=read,
    ).row(pool)
    return row if n is None else _cheaper(row, n / size)


def _cheaper(row: TableRow, share: float) -> TableRow:
    generated, scored = (share * (part or 0.0) for part in (row.generated_tokens, row.scored_tokens))
    return replace(row, tokens=share * row.tokens, generated_tokens=generated, scored_tokens=scored)
