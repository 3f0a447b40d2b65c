"""Votes over arrays: a pool as columns, and what a rule decides of many sets of its candidates at once.

A rule is written once, over `copies` [R, B]: how many copies of each of B ballots take part in each of R votes. The
vote over a whole pool is the case R = 1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from data_gen.errors import UserError
from data_gen.measures.base import Measure
from data_gen.search.votes.base import Ballot, C, ClassOf, Vote

if TYPE_CHECKING:
    import numpy as np

REL, ABS = 1e-9, 1e-12
"""Sums and scores that differ by less are equal: they differ by rounding."""


class Roll:
    """The ballots of a pool as columns, one entry a ballot."""

    def __init__(self, cast: Sequence[Ballot[Any]], class_of: ClassOf) -> None:
        import numpy as np

        numbers: dict[Hashable, int] = {}
        answers = [ballot.leaf.answer for ballot in cast]
        self.cast, self.class_of = cast, class_of
        self.classes = np.array(
            [-1 if one is None else numbers.setdefault(class_of(one), len(numbers)) for one in answers], dtype=int
        )
        """Number of each answer's class, in order of first ballots; -1 without an answer."""
        self.scores = np.array([ballot.score for ballot in cast], dtype=float)
        self.right = np.array([ballot.leaf.outcome or 0.0 for ballot in cast], dtype=float)
        self.members = (self.classes[:, None] == np.arange(len(numbers))[None, :]).astype(float)
        """Which ballot is of which class: [B, K]."""

    @cached_property
    def behind(self) -> np.ndarray:
        """Which ballot scores less than which: [B, B], row less than column."""
        level = levels(self.scores)
        return (level[:, None] < level[None, :]).astype(float)

    @cached_property
    def behind_in_class(self) -> np.ndarray:
        """The same among the ballots of one answer."""
        return self.behind * (self.members @ self.members.T)

    def measured(self, measure: Measure, column: str) -> np.ndarray:
        """A measure's column. UserError if it does not apply to a candidate."""
        import numpy as np

        found = [ballot.measured.get(measure, {}).get(column) for ballot in self.cast]
        if None in found:
            raise UserError(
                f"vote.by: the measure {measure.uses!r} has no column {column!r} for the candidate with the answer "
                f"{self.cast[found.index(None)].leaf.answer!r}. Name a measure that applies to every solution of this "
                "task (`reasoning-train list measures`)."
            )
        return np.array(found, dtype=float)


@dataclass(frozen=True, slots=True)
class Decided:
    """What a rule decides of R sets of candidates."""

    chances: np.ndarray
    """Chance of each ballot to be chosen: [R, B]. A row sums to 1, or to 0 where nothing is chosen."""
    share: np.ndarray
    """The chosen answer's share of the votes: [R]."""
    by_answer: np.ndarray
    """Whether a candidate was chosen to represent its answer: [R]."""

    def where(self, kept: np.ndarray, other: Decided | None = None) -> Decided:
        """These decisions where `kept` [R] holds, elsewhere the others, or nothing."""
        import numpy as np

        rest = (0.0, 0.0, False) if other is None else (other.chances, other.share, other.by_answer)
        return Decided(
            np.where(kept[:, None], self.chances, rest[0]),
            np.where(kept, self.share, rest[1]),
            np.where(kept, self.by_answer, rest[2]),
        )

    def of(self, roll: Roll, row: int) -> list[tuple[Any, float]]:
        """The candidates of one row with their chances. Of equal paths with one answer and one outcome, the first one
        represents all."""
        chances = self.chances[row]
        [standing] = (chances > 0).nonzero()
        if not self.by_answer[row]:
            return [(roll.cast[i].leaf, float(chances[i])) for i in standing]
        first: dict[tuple[int, float | None], int] = {}
        mass: dict[tuple[int, float | None], float] = {}
        for i in standing:
            kind = (int(roll.classes[i]), roll.cast[i].leaf.outcome)
            first.setdefault(kind, i)
            mass[kind] = mass.get(kind, 0.0) + float(chances[i])
        return [(roll.cast[first[kind]].leaf, mass[kind]) for kind in sorted(mass, key=lambda kind: kind[0])]


class ArrayVote(Vote, ABC):
    """A vote that decides many sets of candidates at once."""

    @abstractmethod
    def decide(self, roll: Roll, copies: np.ndarray) -> Decided:
        """What the rule decides where `copies` [R, B] of the ballots take part."""

    def chances(self, cast: Sequence[Ballot[C]], class_of: ClassOf) -> list[tuple[C, float]]:
        """The decision on these ballots."""
        import numpy as np

        roll = Roll(cast, class_of)
        return self.decide(roll, np.array([[ballot.copies for ballot in cast]], dtype=float)).of(roll, 0)


def decided(vote: Vote, roll: Roll, copies: np.ndarray) -> Decided:
    """What any rule decides. One that is not written over arrays is asked about one set of ballots after the other."""
    import numpy as np

    if isinstance(vote, ArrayVote):
        return vote.decide(roll, copies)
    place = {id(ballot.leaf): i for i, ballot in reversed(list(enumerate(roll.cast)))}
    weights = np.zeros_like(copies)
    for row, present in zip(weights, copies, strict=True):
        cast = [replace(ballot, copies=int(n)) for ballot, n in zip(roll.cast, present, strict=True) if n]
        for leaf, weight in vote.chances(cast, roll.class_of):
            row[place[id(leaf)]] += max(weight, 0.0)
    return drawn(roll, copies, weights)


def leading(roll: Roll, voters: np.ndarray, weights: np.ndarray | None = None) -> Decided:
    """The answers of the greatest summed weight. Tied answers share the vote. The best path of an answer represents it;
    where paths of the best score are right and wrong, since a tolerance joined their answers, they do so in proportion
    to their number.

    voters [R, B]: copies that vote, which may be parts of one. weights [R, B] or [B]: weight of each; None: 1.
    """
    import numpy as np

    sums = (voters if weights is None else voters * weights) @ roll.members
    present = voters @ roll.members > 0
    top = np.where(present, sums, -np.inf).max(axis=1, initial=-np.inf)
    some = np.isfinite(top)
    bar = np.where(some, top, 0.0)
    leads = present & near(sums, bar[:, None])
    best = np.where((voters > 0) @ roll.behind_in_class.T > 0, 0.0, voters) * (leads @ roll.members.T)
    return Decided(_by_class(roll, best, leads), _share(sums, present, bar, some), some)


def at_the_top(roll: Roll, copies: np.ndarray) -> Decided:
    """The paths of the best score, in proportion to their number."""
    return drawn(roll, copies, copies * ((copies > 0) @ roll.behind.T == 0))


def drawn(roll: Roll, copies: np.ndarray, weights: np.ndarray) -> Decided:
    """One path in proportion to its weight [R, B]. Its answer's share is that of the paths which agree with it."""
    import numpy as np

    total = weights.sum(axis=1, keepdims=True)
    chances = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    counts = copies @ roll.members
    every = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, every, out=np.zeros_like(counts), where=every > 0) @ roll.members.T
    return Decided(chances, (chances * shares).sum(axis=1), np.zeros(len(copies), dtype=bool))


def reach(found: np.ndarray, bar: float) -> np.ndarray:
    """Which computed numbers are at least the bar, rounding aside."""
    import numpy as np

    return (found >= bar) | near(found, np.array(bar))


def levels(scores: np.ndarray) -> np.ndarray:
    """The number of each score's level, the least first. Scores that differ by rounding are of one level."""
    import numpy as np

    order, found = np.argsort(scores, kind="stable"), np.zeros(len(scores), dtype=int)
    ranked = scores[order]
    found[order[1:]] = np.cumsum(~near(ranked[1:], ranked[:-1]))
    return found


def near(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Which numbers differ by rounding at most, as `math.isclose` has it."""
    import numpy as np

    return np.abs(one - other) <= np.maximum(REL * np.maximum(np.abs(one), np.abs(other)), ABS)


def _by_class(roll: Roll, best: np.ndarray, leads: np.ndarray) -> np.ndarray:
    """Chances of the best paths: leading answers share alike, and the paths of one in proportion to their number."""
    import numpy as np

    own = (best @ roll.members) @ roll.members.T * np.maximum(leads.sum(axis=1, keepdims=True), 1)
    return np.divide(best, own, out=np.zeros_like(best), where=own > 0)


def _share(sums: np.ndarray, present: np.ndarray, top: np.ndarray, some: np.ndarray) -> np.ndarray:
    """The greatest sum's share of all sums. Where all are 0, the answers count alike."""
    import numpy as np

    total, answers = sums.sum(axis=1), np.maximum(present.sum(axis=1), 1)
    return np.where(some, np.divide(top, total, out=1.0 / answers, where=total > 0), 0.0)
