"""`first_accepted`: draw until a verifier accepts (Stroebl et al., arXiv 2411.17501, "inference scaling fLaws")."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from typing import TYPE_CHECKING, Literal

from data_gen.search.votes.arrays import Decided, Roll, drawn
from data_gen.search.votes.bars import BarVote
from data_gen.search.votes.base import VOTES, Ballot, C

if TYPE_CHECKING:
    import numpy as np


@VOTES.register("first_accepted")
class FirstAccepted(BarVote):
    """`vote: {uses: first_accepted, bar: 0.5}`: the first path whose score is at least the bar. It abstains if none of
    the draws is accepted.

    Draws are exchangeable, so accuracy and cost are means over all their orders: each accepted path is as likely to be
    the first. Only the draws up to it are charged. A path without an answer is never accepted."""

    uses: Literal["first_accepted"] = "first_accepted"

    @property
    def accepting(self) -> float:
        """The bar."""
        return self.bar

    @property
    def abstains(self) -> bool:
        """Where no draw is accepted."""
        return True

    def stops(self, score: float) -> bool:
        """Where the bar is reached."""
        return score >= self.bar

    def decide(self, roll: Roll, copies: np.ndarray) -> Decided:
        """Every accepted path, in proportion to its number."""
        return drawn(roll, copies, copies * ((roll.scores >= self.bar) & (roll.classes >= 0)))

    def expected(self, cast: Sequence[Ballot[C]], size: int, n: int) -> tuple[float, float]:
        """None of n draws is accepted with the hypergeometric probability of 0; otherwise any accepted path may be the
        first."""
        accepted = [ballot for ballot in cast if self.stops(ballot.score) and ballot.leaf.answer is not None]
        number = sum(ballot.copies for ballot in accepted)
        if not number:
            return 0.0, 1.0
        right = sum(ballot.copies * (ballot.leaf.outcome or 0.0) for ballot in accepted) / number
        none = comb(size - number, n) / comb(size, n)
        return right * (1 - none), none
