"""Bins of equally many problems by difficulty, and folds of problems by their groups."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from data_gen.engines.base import stream_seed


def edges(difficulties: Iterable[float], bins: int) -> list[float]:
    """The upper edges of all bins but the last, which take equally many of these problems as far as equal difficulties
    allow: they are never divided. There are fewer bins than asked for where difficulties are few.

    >>> edges([1, 2, 3, 4, 5, 6], 3), edges([1, 1, 1, 9], 2), edges([5, 5, 5], 4), edges([1, 2], 5)
    ([2, 4], [1], [], [1])
    """
    ordered = sorted(difficulties)
    uppers = {ordered[-(-k * len(ordered) // bins) - 1] for k in range(1, bins)} if ordered else set()
    return sorted(uppers - {ordered[-1]}) if ordered else []


def bin_of(difficulty: float, uppers: Sequence[float]) -> int:
    """The bin of a difficulty, counted from 0: the first whose upper edge is not below it.

    >>> [bin_of(x, [2, 4]) for x in (-9, 2, 2.5, 4, 99)]
    [0, 0, 1, 1, 2]
    """
    return bisect_left(uppers, difficulty)


def folds_of(groups: Iterable[str], folds: int, seed: int) -> dict[str, int]:
    """The fold of every group of problems. Groups are sorted by a hash of the seed and dealt in turn, so that folds
    differ by one group at most, and the order of the problems says nothing.

    >>> dealt = folds_of(["a", "b", "c", "d"], 2, seed=0)
    >>> sorted(dealt.values()), dealt == folds_of(["d", "c", "b", "a", "a"], 2, seed=0)
    ([0, 0, 1, 1], True)
    """
    ordered = sorted(set(groups), key=lambda group: (stream_seed(seed, "fold", group), group))
    return {group: place % folds for place, group in enumerate(ordered)}
