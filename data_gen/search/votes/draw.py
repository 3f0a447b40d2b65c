"""`draw`: a path in proportion to its score, as particle filters answer (arXiv 2502.01618)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from data_gen.search.votes.base import VOTES, Ballot, C, Same, ScoredVote


@VOTES.register("draw")
class Draw(ScoredVote):
    """Paths whose scores are all 0 are drawn alike."""

    uses: Literal["draw"] = "draw"

    def chances(self, cast: Sequence[Ballot[C]], same: Same) -> list[tuple[C, float]]:
        """Every path by its score."""
        weights = [(ballot.leaf, ballot.copies * ballot.score) for ballot in cast]
        if any(weight > 0 for _, weight in weights):
            return weights
        return [(ballot.leaf, float(ballot.copies)) for ballot in cast]
