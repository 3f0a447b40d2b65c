"""What rules that count answers share: grouping of ballots by answer, and the leading groups."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

from data_gen.search.votes.base import Ballot, C, Same

T = TypeVar("T")


def classes(answers: Sequence[str], same: Same) -> dict[str, int]:
    """The class of each distinct answer under the smallest equivalence relation that contains `same`. Classes are
    numbered by their first answer. A checker need not be transitive: answers joined by a chain of equal ones are one
    answer, whatever their order.

    >>> classes(["1", "2", "1.0"], lambda a, b: float(a) == float(b))
    {'1': 0, '2': 1, '1.0': 0}
    """
    distinct = list(dict.fromkeys(answers))
    first = list(range(len(distinct)))
    for i in range(len(distinct)):
        for j in range(i):
            if first[i] != first[j] and (same(distinct[j], distinct[i]) or same(distinct[i], distinct[j])):
                joined, kept = max(first[i], first[j]), min(first[i], first[j])
                first = [kept if one == joined else one for one in first]
    numbers = {one: number for number, one in enumerate(sorted(set(first)))}
    return {answer: numbers[one] for answer, one in zip(distinct, first, strict=True)}


def by_answer(cast: Sequence[Ballot[C]], same: Same) -> list[list[Ballot[C]]]:
    """Ballots by answer, with groups in order of their first ballot. Ballots without an answer are left out."""
    answered = [(ballot, ballot.leaf.answer) for ballot in cast if ballot.leaf.answer is not None]
    numbers = classes([answer for _, answer in answered], same)
    groups: list[list[Ballot[C]]] = [[] for _ in set(numbers.values())]
    for ballot, answer in answered:
        groups[numbers[answer]].append(ballot)
    return groups


def best(items: Sequence[T], scores: Sequence[float]) -> list[T]:
    """All items of the greatest score. Sums that differ only by rounding are equal."""
    top = max(scores, default=0.0)
    return [
        item for item, score in zip(items, scores, strict=True) if math.isclose(score, top, rel_tol=1e-9, abs_tol=1e-12)
    ]


def standing_for(group: Sequence[Ballot[C]]) -> C:
    """The best path of a group, which represents its answer."""
    return max(group, key=lambda ballot: ballot.score).leaf
