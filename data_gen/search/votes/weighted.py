"""`weighted`: the answer of the greatest summed score ("best-of-N weighted" of Snell et al., arXiv 2408.03314)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from data_gen.search.votes.arrays import ArrayVote, Decided, Roll, leading, near
from data_gen.search.votes.base import VOTES, ScoredVote

if TYPE_CHECKING:
    import numpy as np


@VOTES.register("weighted")
class Weighted(ScoredVote, ArrayVote):
    """`vote: {uses: weighted, score: min}`: the answer of the greatest summed score.

    Tied answers share the vote. Paths without an answer do not vote."""

    version: ClassVar[int] = 3
    uses: Literal["weighted"] = "weighted"
    weights: Literal["raw", "minmax"] = "raw"
    """`minmax`: scores are stretched over those that vote, so that the worst path has weight 0 and the best one 1 (Bag
    of Tricks, arXiv 2502.07191). If all are equal, each has weight 1."""

    @property
    def confidence(self) -> Literal["share"]:
        """The winning answer's share of the summed scores."""
        return "share"

    def decide(self, roll: Roll, copies: np.ndarray) -> Decided:
        """The best path of every leading answer."""
        return leading(roll, copies, roll.scores if self.weights == "raw" else _stretched(roll, copies))


def _stretched(roll: Roll, copies: np.ndarray) -> np.ndarray:
    """(score - worst) / (best - worst) among those that vote: [R, B]."""
    import numpy as np

    voting = (copies > 0) & (roll.classes >= 0)
    worst = np.where(voting, roll.scores, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    best = np.where(voting, roll.scores, -np.inf).max(axis=1, keepdims=True, initial=-np.inf)
    varied = (best > worst) & ~near(best, worst)
    span = np.where(varied, best - np.where(varied, worst, 0.0), 1.0)
    return np.where(varied, (roll.scores - np.where(varied, worst, 0.0)) / span, 1.0)
