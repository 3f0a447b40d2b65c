"""`majority`: the answer of most paths (self-consistency, arXiv 2203.11171)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from data_gen.search.votes.base import VOTES, Ballot, C, Same, Vote
from data_gen.search.votes.grouping import best, by_answer, standing_for


@VOTES.register("majority")
class Majority(Vote):
    """`vote: majority`: the answer of most paths.

    Tied answers share the vote. Paths without an answer do not vote."""

    uses: Literal["majority"] = "majority"

    def chances(self, cast: Sequence[Ballot[C]], same: Same) -> list[tuple[C, float]]:
        """One path for every leading answer."""
        groups = by_answer(cast, same)
        leading = best(groups, [sum(ballot.copies for ballot in group) for group in groups])
        return [(standing_for(group), 1.0) for group in leading]
