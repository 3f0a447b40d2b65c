"""Best-first search by look-ahead reward (He et al., Tree-PLV, arXiv 2407.00390, section 3.1).

No tree-building code was released. The reward of a step is the share of completions from it that end right:
`scorer: {uses: rollouts, m: 8}`. The paper discards these completions; here they stay in the tree as leaves with their
outcomes.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from data_gen.records.scales import as_weight
from data_gen.search.base import SEARCHES
from data_gen.search.budget import Budgeted
from data_gen.search.node import Node
from data_gen.search.tree import SearchTree


@SEARCHES.register("best_first")
class BestFirst(Budgeted):
    """Always expand the frontier node of the greatest value: `BestFirst(expansions=16, expand=Expand(n=4))`.

    Rewards take few values, so ties are common: they go to the deepest node, then to the oldest. With a verifier as the
    scorer it also answers, and answers vote with their values.
    """

    uses: Literal["best_first"] = "best_first"
    expansions: int = Field(16, ge=1)
    wave: int = Field(1, ge=1)
    """Number of frontier nodes that are expanded at once."""
    answers: int | None = Field(1, ge=1)
    """Stop when this many finished solutions have come to the top of the frontier. None: never."""

    def width(self) -> int:
        """One wave."""
        return self.wave * self.expand.n

    def draws(self) -> int:
        """One node per expansion. The scorer's draws are not included."""
        return self.expansions * self.expand.n

    async def grow(self, tree: SearchTree) -> None:
        """Take the best nodes off the frontier, expand them, value the children and add these to the frontier."""
        frontier, done, answered = [tree.root], 0, 0
        while done < self.expansions and not self.over(tree):
            chosen, finished = pop(frontier, min(self.wave, self.expansions - done))
            answered += finished
            if self.answers and answered >= self.answers:
                tree.stopped = "answered"
                break
            if not chosen:
                tree.stopped = "exhausted"
                break
            children = [child for family in await tree.expand_all(chosen, self.expand) for child in family]
            await tree.evaluate(children)
            frontier += children
            done += len(chosen)
        answers = [node for node in tree.nodes if node.terminal == "answer" and node.source == "policy"]
        tree.vote([(node, as_weight(node.value or 0.0, tree.scale)) for node in answers])


def pop(frontier: list[Node], n: int) -> tuple[list[Node], int]:
    """Take the n best open nodes off the frontier, and the ended nodes that rank above them: (the open nodes, the
    number of answers among the ended)."""
    frontier.sort(key=lambda node: (node.value or 0.0, node.depth, -node.id))  # the best is last
    chosen: list[Node] = []
    answers = 0
    while frontier and len(chosen) < n:
        node = frontier.pop()
        answers += node.terminal == "answer"
        chosen += [] if node.terminal else [node]
    return chosen, answers
