"""Independent samples as a tree: what solutions share is one path (the data of token-supervised values, TVM, arXiv 2407.12863)."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from data_gen.search.base import SEARCHES, Search
from data_gen.search.tree import SearchTree


@SEARCHES.register("iid")
class Iid(Search):
    """n whole solutions, no selection; `draws` counts how many ran through a step. The majority of the answers is its vote.

    Prefix ratios, a token's right draws over all of its draws, are a label that is made of the tree (`value_targets`).
    """

    needs_scorer: ClassVar[bool] = False
    takes_solutions: ClassVar[bool] = True
    one_draw: ClassVar[bool] = True
    independent: ClassVar[bool] = True

    uses: Literal["iid"] = "iid"
    n: int = Field(16, ge=1)

    def width(self) -> int:
        """All at once."""
        return self.n

    def draws(self) -> int:
        """n solutions."""
        return self.n

    async def grow(self, tree: SearchTree) -> None:
        """Draw and vote."""
        ends = await tree.solve(tree.root, self.n, self.expand)
        tree.vote([(end, 1.0) for end in ends if end.terminal == "answer"])
        tree.stopped = "answered"
