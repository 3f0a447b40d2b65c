"""`draw`: one path, drawn in proportion to its score, as particle filters answer (arXiv 2502.01618)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from data_gen.search.votes.arrays import ArrayVote, Decided, Roll, drawn
from data_gen.search.votes.base import VOTES, ScoredVote

if TYPE_CHECKING:
    import numpy as np


@VOTES.register("draw")
class Draw(ScoredVote, ArrayVote):
    """`vote: draw`: a path in proportion to its score.

    If all scores are 0, paths are drawn uniformly."""

    uses: Literal["draw"] = "draw"

    def decide(self, roll: Roll, copies: np.ndarray) -> Decided:
        """Every path with its score as weight."""
        import numpy as np

        weights = copies * np.maximum(roll.scores, 0.0)
        return drawn(roll, copies, np.where((weights > 0).any(axis=1, keepdims=True), weights, copies))
