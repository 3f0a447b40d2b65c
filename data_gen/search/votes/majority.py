"""`majority`: the answer of most paths (self-consistency, arXiv 2203.11171)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from data_gen.search.votes.arrays import ArrayVote, Decided, Roll, leading
from data_gen.search.votes.base import VOTES

if TYPE_CHECKING:
    import numpy as np


@VOTES.register("majority")
class Majority(ArrayVote):
    """`vote: majority`: the answer of most paths.

    Tied answers share the vote. Paths without an answer do not vote."""

    version: ClassVar[int] = 2
    uses: Literal["majority"] = "majority"

    @property
    def confidence(self) -> Literal["share"]:
        """The winning answer's share of the votes."""
        return "share"

    def decide(self, roll: Roll, copies: np.ndarray) -> Decided:
        """The best path of every leading answer."""
        return leading(roll, copies)
