"""`majority`: the answer of most paths (self-consistency, arXiv 2203.11171)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from data_gen.search.votes.base import VOTES, Ballot, C, ClassOf, Vote
from data_gen.search.votes.grouping import best, by_answer, standing_for


@VOTES.register("majority")
class Majority(Vote):
    """`vote: majority`: the answer of most paths.

    Tied answers share the vote. Paths without an answer do not vote."""

    version: ClassVar[int] = 2
    uses: Literal["majority"] = "majority"

    def chances(self, cast: Sequence[Ballot[C]], class_of: ClassOf) -> list[tuple[C, float]]:
        """The best path of every leading answer."""
        groups = by_answer(cast, class_of)
        leading = best(groups, [sum(ballot.copies for ballot in group) for group in groups])
        return [chance for group in leading for chance in standing_for(group)]
