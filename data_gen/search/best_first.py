"""Best-first search: always the open step of the greatest value gets children (Tree-PLV, arXiv 2407.00390, section 3.1)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from data_gen.search.base import SEARCHES, Search
from data_gen.search.node import Node
from data_gen.search.tree import SearchTree


@SEARCHES.register("best_first")
class BestFirst(Search):
    """With scorer `rollouts` (m: 8) the value of a step is its look-ahead reward, the share of completions that end right.

    The paper's repository holds no tree code; how many children a step gets and where a tree ends are not stated, so both are fields.
    A step that ends a solution leaves the frontier; the tree goes on until its budget, since its siblings are what pairs are made of.
    """

    uses: Literal["best_first"] = "best_first"
    expansions: int = Field(8, ge=1)
    """Steps that get children, the root among them."""

    def draws(self) -> int:
        """Every expansion draws n steps."""
        return self.expansions * self.expand.n

    async def grow(self, tree: SearchTree) -> None:
        """Expand, score, and go on from the best step that is still open, the oldest among equals."""
        frontier = [tree.root]
        for _ in range(self.expansions):
            if not frontier:
                tree.stopped = "exhausted"
                break
            best = max(frontier, key=lambda node: (node.value if node.value is not None else 0.0, -node.id))
            frontier.remove(best)
            children = await tree.expand(best, self.expand)
            for child, value in zip(children, await tree.evaluate(children), strict=True):
                child.visits, child.total = 1, value
            frontier += [child for child in children if not child.terminal]
        tree.vote(_best(tree.nodes))


def _best(nodes: list[Node]) -> list[tuple[Node, float]]:
    """All of the vote for the answer of the greatest value."""
    answers = [node for node in nodes if node.terminal == "answer" and node.value is not None and node.source == "policy"]
    return [(max(answers, key=lambda node: (node.value or 0.0, -node.id)), 1.0)] if answers else []
