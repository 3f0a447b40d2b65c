"""`weighted`: the answer of the greatest summed score ("best-of-N weighted" of Snell et al., arXiv 2408.03314)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from data_gen.search.votes.base import VOTES, Ballot, C, Same, ScoredVote
from data_gen.search.votes.grouping import best, by_answer, standing_for


@VOTES.register("weighted")
class Weighted(ScoredVote):
    """`vote: {uses: weighted, score: min}`: the answer of the greatest summed score.

    Tied answers share the vote. Paths without an answer do not vote."""

    uses: Literal["weighted"] = "weighted"

    def chances(self, cast: Sequence[Ballot[C]], same: Same) -> list[tuple[C, float]]:
        """One path for every leading answer."""
        groups = by_answer(cast, same)
        leading = best(groups, [sum(ballot.copies * ballot.score for ballot in group) for group in groups])
        return [(standing_for(group), 1.0) for group in leading]
