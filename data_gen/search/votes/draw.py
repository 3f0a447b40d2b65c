"""`draw`: one path, drawn in proportion to its score, as particle filters answer (arXiv 2502.01618)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from data_gen.search.votes.base import VOTES, Ballot, C, ClassOf, ScoredVote


@VOTES.register("draw")
class Draw(ScoredVote):
    """`vote: draw`: a path in proportion to its score.

    If all scores are 0, paths are drawn uniformly."""

    uses: Literal["draw"] = "draw"

    def chances(self, cast: Sequence[Ballot[C]], class_of: ClassOf) -> list[tuple[C, float]]:
        """Every path with its score as weight."""
        weights = [(ballot.leaf, ballot.copies * ballot.score) for ballot in cast]
        if any(weight > 0 for _, weight in weights):
            return weights
        return [(ballot.leaf, float(ballot.copies)) for ballot in cast]
