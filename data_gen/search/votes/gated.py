"""`gated`: the majority where it is clear, another rule elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from data_gen.measures.base import Measure
from data_gen.search.votes.arrays import ArrayVote, Decided, Roll, decided, leading, reach
from data_gen.search.votes.base import VOTES, InnerVote, ScoreName

if TYPE_CHECKING:
    import numpy as np


@VOTES.register("gated")
class Gated(ArrayVote):
    """`vote: {uses: gated, bar: 0.6, otherwise: argmax}`: the answer of most paths, if it has at least this share of
    the votes, otherwise what another rule chooses.

    Paths without an answer do not vote."""

    uses: Literal["gated"] = "gated"
    bar: float = Field(ge=0, le=1)
    """The least share of the votes with which the majority decides."""
    otherwise: InnerVote
    """The rule for the other problems."""

    @property
    def counted(self) -> ScoreName:
        """The scores of the other rule."""
        return self.otherwise.counted

    @property
    def named_score(self) -> ScoreName | None:
        """The other rule's."""
        return self.otherwise.named_score

    @property
    def has_bar(self) -> bool:
        """If the other rule has one."""
        return self.otherwise.has_bar

    @property
    def abstains(self) -> bool:
        """If the other rule does."""
        return self.otherwise.abstains

    @property
    def confidence(self) -> Literal["share"]:
        """The chosen answer's share of the votes."""
        return "share"

    def measures(self) -> tuple[Measure, ...]:
        """The other rule's."""
        return self.otherwise.measures()

    def decide(self, roll: Roll, copies: np.ndarray) -> Decided:
        """The majority where its share reaches the bar."""
        clear = leading(roll, copies)
        return clear.where(clear.by_answer & reach(clear.share, self.bar), decided(self.otherwise, roll, copies))
