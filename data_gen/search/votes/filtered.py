"""`filtered`: a majority of the candidates that a verifier accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from data_gen.search.votes.arrays import Decided, Roll, leading
from data_gen.search.votes.bars import BarVote
from data_gen.search.votes.base import VOTES

if TYPE_CHECKING:
    import numpy as np


@VOTES.register("filtered")
class Filtered(BarVote):
    """`vote: {uses: filtered, bar: 0.5}`: the answer of most paths whose score is at least the bar.

    Tied answers share the vote. Paths without an answer do not vote."""

    uses: Literal["filtered"] = "filtered"
    otherwise: Literal["abstain", "majority"] = "abstain"
    """Where no path is accepted: no answer, or the majority of all."""

    @property
    def abstains(self) -> bool:
        """Unless the majority decides then."""
        return self.otherwise == "abstain"

    @property
    def confidence(self) -> Literal["share"]:
        """The winning answer's share of the accepted paths."""
        return "share"

    def decide(self, roll: Roll, copies: np.ndarray) -> Decided:
        """The majority of the accepted."""
        found = leading(roll, copies * ((roll.scores >= self.bar) & (roll.classes >= 0)))
        return found if self.abstains else found.where(found.by_answer, leading(roll, copies))
