"""Flips of a chain of attempts: right ones that the next attempt makes wrong, and the other way round (Snell et al.,
arXiv 2408.03314, section 6.1: about 38 % of the right ones are lost)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from data_gen.measures.base import Direction
from data_gen.records.solution import Solution
from data_gen.records.verdict import Verdict

DIRECTIONS = {
    "last": Direction.HIGHER,
    "wrong_to_right": Direction.HIGHER,
    "right_to_wrong": Direction.LOWER,
    "right_revised": Direction.HIGHER,
}
"""`last`: share of chains whose last attempt is right. The others are means over chains: how often a wrong attempt was
made right, a right one wrong, and a right one was revised at all."""
SHARES = frozenset({"last"})
RATIOS = {"lost": ("right_to_wrong", "right_revised")}
"""`lost`: share of the right attempts that a revision made wrong."""


def flips(rows: Sequence[Solution]) -> dict[str, float]:
    """The columns of `DIRECTIONS` for the graded attempts of one run; none if they cannot be verified."""
    if any(row.verdict is Verdict.UNVERIFIABLE for row in rows):
        return {}
    chains: dict[int | None, list[bool]] = {}
    for row in sorted(rows, key=lambda row: row.turn or 0):
        chains.setdefault(row.chain, []).append(row.verdict is Verdict.CORRECT)
    pairs, n = [pair for chain in chains.values() for pair in pairwise(chain)], len(chains)
    return {
        "last": sum(chain[-1] for chain in chains.values()) / n,
        "wrong_to_right": sum(not before and after for before, after in pairs) / n,
        "right_to_wrong": sum(before and not after for before, after in pairs) / n,
        "right_revised": sum(before for before, _ in pairs) / n,
    }
