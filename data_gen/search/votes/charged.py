"""How much of a pool a rule draws: which share of the paths, where drawing stops at a candidate."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb


@dataclass(frozen=True, slots=True)
class Drawn:
    """Chances that a path is drawn at all, over the orders in which n of a pool's paths may come."""

    stopping: float
    """The chance of a path that ends the drawing."""
    other: float
    """The chance of any other path."""


def drawn_of(size: int, stopping: int, n: int) -> Drawn:
    """The chances where at most n of `size` paths are drawn, `stopping` of which end the drawing.

    The first t draws are all of the others with the hypergeometric probability C(size - stopping, t) / C(size, t).
    Summed over t = 1..n this is the mean number of others that are drawn.

    >>> drawn_of(4, 0, 2)
    Drawn(stopping=0.0, other=0.5)
    >>> drawn_of(2, 1, 2)
    Drawn(stopping=1.0, other=0.5)
    """
    others = size - stopping
    none = [comb(others, t) / comb(size, t) for t in range(1, n + 1)]
    return Drawn(stopping=(1 - none[-1]) / stopping if stopping else 0.0, other=sum(none) / others if others else 0.0)
