"""Best-of-N: n whole solutions, each with the score of its end (or of its steps, aggregated)."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from data_gen.scales import Scale, convert, convertible
from data_gen.search.base import SEARCHES, Search
from data_gen.search.tree import SearchTree


@SEARCHES.register("best_of_n")
class BestOfN(Search):
    """n independent solutions as leaves of the root; their votes are their scores, so that every voting rule reads one tree."""

    uses: Literal["best_of_n"] = "best_of_n"
    n: int = Field(16, ge=1)

    def draws(self) -> int:
        """n solutions."""
        return self.n

    async def grow(self, tree: SearchTree) -> None:
        """Sample, score, vote."""
        how = self.expand.model_copy(update={"segment": "solution"})
        leaves = [leaf for leaf in await tree.expand(tree.root, how, self.n) if leaf.terminal == "answer"]
        values = await tree.evaluate(leaves)
        tree.vote([(leaf, leaf.draws * as_weight(value, tree.scale)) for leaf, value in zip(leaves, values, strict=True)])
        tree.stopped = "answered"


def as_weight(value: float, scale: Scale) -> float:
    """A value as a vote that is not negative: P(correct) where the scale converts, exp(score) for a ranking."""
    return convert(value, scale, Scale.P) if convertible(scale, Scale.P) else math.exp(min(value, 50.0))
