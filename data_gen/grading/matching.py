"""The largest number of pairs that fit, when everything may be in one pair only."""

from __future__ import annotations

from collections.abc import Sequence


def most_pairs(fits: Sequence[Sequence[bool]]) -> int:
    """How many rows can be paired with a column of their own that fits (maximum bipartite matching, Kuhn's algorithm).

    >>> most_pairs([[True, True], [True, False]]), most_pairs([[True], [True]])
    (2, 1)
    """
    row_of: dict[int, int] = {}

    def pair(row: int, tried: set[int]) -> bool:
        for column, fit in enumerate(fits[row]):
            if fit and column not in tried:
                tried.add(column)
                if column not in row_of or pair(row_of[column], tried):
                    row_of[column] = row
                    return True
        return False

    return sum(pair(row, set()) for row in range(len(fits)))
