"""`argmax`: the path of the best score (best-of-N)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import comb
from typing import Literal

from data_gen.search.votes.base import VOTES, Ballot, C, ClassOf, ScoredVote
from data_gen.search.votes.grouping import best


@VOTES.register("argmax")
class Argmax(ScoredVote):
    """`vote: argmax`: the path of the best score.

    Paths of equal score share the vote."""

    uses: Literal["argmax"] = "argmax"

    def chances(self, cast: Sequence[Ballot[C]], class_of: ClassOf) -> list[tuple[C, float]]:
        """Every path of the best score, with equal chances."""
        return [(ballot.leaf, float(ballot.copies)) for ballot in best(cast, [ballot.score for ballot in cast])]

    def expected_accuracy(self, cast: Sequence[Ballot[C]], size: int, n: int) -> float | None:
        """Sum over scores of P(this score is the best of the subset) * the share of right paths among those with this
        score."""
        accuracy, left = 0.0, size
        for _, level in itertools.groupby(sorted(cast, key=lambda b: -b.score), key=lambda b: b.score):
            equal = list(level)
            copies = sum(ballot.copies for ballot in equal)
            right = sum(ballot.copies * (ballot.leaf.outcome or 0.0) for ballot in equal) / copies
            accuracy += right * (comb(left, n) - comb(left - copies, n)) / comb(size, n)
            left -= copies
        return accuracy
