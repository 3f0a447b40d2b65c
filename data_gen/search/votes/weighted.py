"""`weighted`: the answer of the greatest summed score ("best-of-N weighted" of Snell et al., arXiv 2408.03314)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from data_gen.search.votes.base import VOTES, Ballot, C, ClassOf, ScoredVote
from data_gen.search.votes.grouping import best, by_answer, standing_for


@VOTES.register("weighted")
class Weighted(ScoredVote):
    """`vote: {uses: weighted, score: min}`: the answer of the greatest summed score.

    Tied answers share the vote. Paths without an answer do not vote."""

    version: ClassVar[int] = 2
    uses: Literal["weighted"] = "weighted"

    def chances(self, cast: Sequence[Ballot[C]], class_of: ClassOf) -> list[tuple[C, float]]:
        """The best path of every leading answer."""
        groups = by_answer(cast, class_of)
        leading = best(groups, [sum(ballot.copies * ballot.score for ballot in group) for group in groups])
        return [chance for group in leading for chance in standing_for(group)]
