"""`argmax`: the path of the best score (best-of-N)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import comb
from typing import TYPE_CHECKING, ClassVar, Literal

from data_gen.search.votes.arrays import ArrayVote, Decided, Roll, at_the_top, levels
from data_gen.search.votes.base import VOTES, Ballot, C, ScoredVote

if TYPE_CHECKING:
    import numpy as np


@VOTES.register("argmax")
class Argmax(ScoredVote, ArrayVote):
    """`vote: argmax`: the path of the best score.

    Paths of equal score share the vote."""

    version: ClassVar[int] = 2
    uses: Literal["argmax"] = "argmax"

    @property
    def confidence(self) -> Literal["score"]:
        """The best score."""
        return "score"

    def decide(self, roll: Roll, copies: np.ndarray) -> Decided:
        """Every path of the best score, with equal chances."""
        return at_the_top(roll, copies)

    def expected(self, cast: Sequence[Ballot[C]], size: int, n: int) -> tuple[float, float]:
        """Sum over scores of P(this score is the best of the subset) * the share of right paths among those with this
        score."""
        import numpy as np

        accuracy, left, place = 0.0, size, levels(np.array([ballot.score for ballot in cast]))
        ranked = sorted(range(len(cast)), key=lambda i: -place[i])
        for _, level in itertools.groupby(ranked, key=lambda i: place[i]):
            equal = [cast[i] for i in level]
            copies = sum(ballot.copies for ballot in equal)
            right = sum(ballot.copies * (ballot.leaf.outcome or 0.0) for ballot in equal) / copies
            accuracy += right * (comb(left, n) - comb(left - copies, n)) / comb(size, n)
            left -= copies
        return accuracy, 0.0
