"""`abstaining`: no answer where a rule is not sure enough (selective prediction)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from data_gen.measures.base import Measure
from data_gen.search.votes.arrays import ArrayVote, Decided, Roll, decided, reach
from data_gen.search.votes.base import VOTES, InnerVote, ScoredVote, ScoreName

if TYPE_CHECKING:
    import numpy as np


@VOTES.register("abstaining")
class Abstaining(ArrayVote):
    """`vote: {uses: abstaining, vote: majority, bar: 0.5}`: what a rule chooses, if its answer has at least this share
    of the votes, otherwise nothing.

    All draws say how sure the rule is, so all are charged, also around a rule that alone would stop drawing."""

    version: ClassVar[int] = 2
    uses: Literal["abstaining"] = "abstaining"
    vote: InnerVote
    """The rule that chooses."""
    bar: float
    """The least share, or score, with which it answers."""
    by: Literal["share", "score"] = "share"
    """`share`: the chosen answer's share of the votes, or of the summed scores in `weighted`. `score`: the score of the
    chosen path, in the mean where several may be chosen."""

    @property
    def counted(self) -> ScoreName:
        """The rule's own scores. A bar on scores reads the last step's where the rule reads none."""
        unread = self.vote.counted == "search" and not isinstance(self.vote, ScoredVote)
        return "last" if unread and self.by == "score" else self.vote.counted

    @property
    def named_score(self) -> ScoreName | None:
        """The rule's."""
        return self.vote.named_score

    @property
    def has_bar(self) -> bool:
        """A share means the same everywhere, a score may not."""
        return self.by == "score" or self.vote.has_bar

    @property
    def abstains(self) -> bool:
        """Always."""
        return True

    @property
    def confidence(self) -> Literal["share", "score"]:
        """What the bar is compared with."""
        return self.by

    def measures(self) -> tuple[Measure, ...]:
        """The rule's."""
        return self.vote.measures()

    def decide(self, roll: Roll, copies: np.ndarray) -> Decided:
        """The rule's decisions of which it is sure."""
        found = decided(self.vote, roll, copies)
        return found.where(reach(found.share if self.by == "share" else found.chances @ roll.scores, self.bar))
