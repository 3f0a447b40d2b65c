"""How many of each source go into a mixture, and how rows of several sources stay apart."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction


def mixed_sizes(sizes: Sequence[int], shares: Sequence[float]) -> list[int]:
    """The largest mixture in which the sources have these shares, each rounded down, none more often than it has rows.

    >>> mixed_sizes([100, 30, 500], [2, 1, 1])
    [60, 30, 30]
    """
    exact = [Fraction(share) for share in shares]
    most = min(Fraction(size) / share for size, share in zip(sizes, exact, strict=True))
    return [int(most * share) for share in exact]


class Numbering:
    """Numbers of rows within a problem that stay unique when sources meet: the first source keeps its own, a later one
    keeps those that are free and takes the next ones for the rest.

    >>> numbers = Numbering()
    >>> [numbers.of(source, "p", n) for source, n in [(0, 0), (0, 1), (1, 1), (1, 1), (1, 7)]]
    [0, 1, 2, 2, 7]
    """

    def __init__(self) -> None:
        self._given: dict[tuple[int, str, int], int] = {}
        self._taken: dict[str, set[int]] = {}

    def of(self, source: int, problem: str, number: int) -> int:
        """The number in the mixture of what is `number` in one source; one that comes again gets the same again."""
        key = (source, problem, number)
        if key not in self._given:
            taken = self._taken.setdefault(problem, set())
            self._given[key] = number if number not in taken else max(taken) + 1
            taken.add(self._given[key])
        return self._given[key]
