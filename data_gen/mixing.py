"""How many of each source go into a mixture, and how rows of several sources stay apart."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction


def mixed_sizes(sizes: Sequence[int], shares: Sequence[float]) -> list[int]:
    """The largest mixture in which the sources have these shares. Each size is rounded down, and no row is used twice.

    >>> mixed_sizes([100, 30, 500], [2, 1, 1])
    [60, 30, 30]
    """
    exact = [Fraction(share) for share in shares]
    most = min(Fraction(size) / share for size, share in zip(sizes, exact, strict=True))
    return [int(most * share) for share in exact]


class Numbering:
    """Numbers rows within a problem so that they stay unique when sources are merged. The first source keeps its
    numbers; a later source keeps those that are free and takes the next free ones for the rest.

    >>> numbers = Numbering()
    >>> [numbers.of(source, "p", n) for source, n in [(0, 0), (0, 1), (1, 1), (1, 1), (1, 7)]]
    [0, 1, 2, 2, 7]
    """

    def __init__(self) -> None:
        self._given: dict[tuple[int, str, int], int] = {}
        self._taken: dict[str, set[int]] = {}

    def of(self, source: int, problem: str, number: int) -> int:
        """The number in the mixture of row `number` of one source. Asking again gives the same number."""
        key = (source, problem, number)
        if key not in self._given:
            taken = self._taken.setdefault(problem, set())
            self._given[key] = number if number not in taken else max(taken) + 1
            taken.add(self._given[key])
        return self._given[key]
