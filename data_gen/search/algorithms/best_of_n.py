"""Best-of-N (Cobbe et al., arXiv 2110.14168; Snell et al., arXiv 2408.03314, section 5): n whole solutions, each with
the score of its end.

Naive, weighted and majority selection are voting rules over the same tree (votes/), and so are all sizes n' <= n
(votes/subsets.py), as in search-and-learn, which however stores no tokens of the solutions that it compares.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from data_gen.records.scales import as_weight
from data_gen.search.base import SEARCHES, Search
from data_gen.search.node import Node
from data_gen.search.tree import SearchTree


@SEARCHES.register("best_of_n")
class BestOfN(Search):
    """n independent solutions, whose votes are their scores. A solution without an answer has no vote."""

    one_draw: ClassVar[bool] = True
    independent: ClassVar[bool] = True
    takes_solutions: ClassVar[bool] = True

    uses: Literal["best_of_n"] = "best_of_n"
    n: int = Field(16, ge=1)
    per_step: bool = False
    """Keep solutions as paths of steps and score every step, so that votes may aggregate the scores (min, prod, mean).
    A verifier then reads more tokens, one prefix after the other, and they are charged. It does not work with scorer
    `joint`, since engines return values of last tokens only."""

    def width(self) -> int:
        """All at once."""
        return self.n

    def draws(self) -> int:
        """n solutions."""
        return self.n

    def tokens(self) -> int:
        """n solutions of the greatest length."""
        return self.n * self.max_length

    async def grow(self, tree: SearchTree) -> None:
        """Sample, score, vote."""
        leaves = [leaf for leaf in await self._solutions(tree) if leaf.terminal == "answer"]
        if self.per_step:
            await tree.evaluate(list(dict.fromkeys(node for leaf in leaves for node in leaf.path())))
        values = await tree.evaluate(leaves)
        tree.vote([(leaf, as_weight(value, tree.scale)) for leaf, value in zip(leaves, values, strict=True)])
        tree.stopped = "answered"

    async def _solutions(self, tree: SearchTree) -> list[Node]:
        """One leaf per sample. Equal samples share a leaf."""
        if self.per_step:
            return await tree.solve(tree.root, self.n, self.expand)
        [leaves] = await tree.draw([tree.root], self.expand.model_copy(update={"segment": "solution"}), self.n)
        return leaves
