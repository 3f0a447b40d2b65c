"""Rows that ask a question again: further worked solutions of it are kept, repeats are dropped and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from data_gen.sources.division import question_key

Steps = tuple[str, ...]


class _First(NamedTuple):
    """The first row that asks a question."""

    number: int
    gold: str | None
    steps: int
    """Hash of its worked solution."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What one row asks and says."""

    question: str
    gold: str | None
    steps: Steps
    same: Callable[[str, str], bool]
    """Whether two answers to the question are one answer."""


class Repeats:
    """What the rows of a source repeat. Rows are numbered from 0 in the source's order.

    >>> repeats = Repeats()
    >>> for number, steps in enumerate([("1 + 1 = 2",), ("2 = 1 + 1",), ("1 + 1 = 2",)]):
    ...     repeats.add(number, Asked("1 + 1?", "2", steps, same=str.__eq__))
    >>> repeats.solutions, repeats.dropped([0])
    ({0: [('2 = 1 + 1',)]}, Counter({'repeated': 1}))
    """

    def __init__(self) -> None:
        self.later: set[int] = set()
        """Numbers of all rows but the first of every question."""
        self.solutions: dict[int, list[Steps]] = {}
        """Number of a first row -> further worked solutions of its question."""
        self._first: dict[bytes, _First] = {}
        self._dropped: dict[int, Counter[str]] = {}

    def add(self, number: int, row: Asked) -> None:
        """Enter the next row."""
        steps = hash(row.steps)
        first = self._first.setdefault(question_key(row.question), _First(number, row.gold, steps))
        if first.number == number:
            return
        self.later.add(number)
        if reason := self._redundant(first, row, steps):
            self._dropped.setdefault(first.number, Counter())[reason] += 1
        else:
            self.solutions.setdefault(first.number, []).append(row.steps)

    def _redundant(self, first: _First, row: Asked, steps: int) -> str:
        """Why a later row is dropped: it contradicts the first one, or has no worked solution that is new. Empty if it
        is kept."""
        if row.gold != first.gold and (row.gold is None or first.gold is None or not row.same(first.gold, row.gold)):
            return "other_answer"
        known = steps == first.steps or row.steps in self.solutions.get(first.number, ())
        return "repeated" if known or not row.steps else ""

    def dropped(self, numbers: Iterable[int] | None = None) -> Counter[str]:
        """Number of dropped rows by reason: `repeated`, and `other_answer` for rows whose answer contradicts the first
        one's. `numbers`: only of the questions of these first rows."""
        found = self._dropped.values() if numbers is None else (self._dropped.get(n, Counter()) for n in numbers)
        return sum(found, Counter())
