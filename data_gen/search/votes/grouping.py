"""What rules that count answers share: grouping of ballots by answer, and the leading groups."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import TypeVar

from data_gen.search.votes.base import Ballot, C, ClassOf

T = TypeVar("T")


def by_answer(cast: Sequence[Ballot[C]], class_of: ClassOf) -> list[list[Ballot[C]]]:
    """Ballots by class of answer, in order of their first ballots. Ballots without an answer are left out."""
    groups: dict[Hashable, list[Ballot[C]]] = {}
    for ballot in cast:
        if (answer := ballot.leaf.answer) is not None:
            groups.setdefault(class_of(answer), []).append(ballot)
    return list(groups.values())


def best(items: Sequence[T], scores: Sequence[float]) -> list[T]:
    """All items of the greatest score. Sums that differ only by rounding are equal."""
    top = max(scores, default=0.0)
    return [
        item for item, score in zip(items, scores, strict=True) if math.isclose(score, top, rel_tol=1e-9, abs_tol=1e-12)
    ]


def standing_for(group: Sequence[Ballot[C]]) -> list[tuple[C, float]]:
    """The best path of a group, which represents its answer, with weight 1. Where paths of the best score are right and
    wrong, since a tolerance joined their answers, one of each represents it in proportion to their number."""
    top = best(group, [ballot.score for ballot in group])
    copies: dict[float | None, int] = {}
    for ballot in top:
        copies[ballot.leaf.outcome] = copies.get(ballot.leaf.outcome, 0) + ballot.copies
    total = sum(copies.values())
    first = {ballot.leaf.outcome: ballot.leaf for ballot in reversed(top)}
    return [(first[outcome], number / total) for outcome, number in copies.items()]
