"""Process-value guided tree search (ReST-MCTS*, arXiv 2406.03816, section 3.2 and algorithm 1)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from data_gen.scales import Scale
from data_gen.search.base import SEARCHES, Search
from data_gen.search.expand import Expand
from data_gen.search.node import Node
from data_gen.search.select import Selector, Ucb, descend
from data_gen.search.tree import SearchTree


@SEARCHES.register("rest_mcts")
class RestMcts(Search):
    """UCB over values; the best new child looks a few greedy steps ahead; an inner value is the visit-weighted mean of its children.

    Made for values of scale `progress`; those of scale p serve as well. The released code grows one tree at a time and reads a pad's
    logit as the value of a right-padded row; neither is so here.
    """

    uses: Literal["rest_mcts"] = "rest_mcts"
    simulations: int = Field(50, ge=1)
    expand: Expand = Expand(n=3)
    select: Selector = Ucb(c=0.7, k=2.0, fpu="inf")
    ahead: int = Field(3, ge=0)
    """Greedy steps below the best new child; 0 leaves its own value alone."""
    mix: float = Field(0.5, ge=0, le=1)
    """Weight of the child's own value; the rest is the best value met ahead."""
    gate: float | None = 0.9
    """An ended solution of at least this value ends the search (`answered`); None: never."""
    scale: Scale = Scale.PROGRESS

    def draws(self) -> int:
        """Children, and the steps ahead of one of them."""
        return self.simulations * (self.expand.n + self.ahead)

    async def grow(self, tree: SearchTree) -> None:
        """Select, expand, look ahead, back up; `exhausted` when every path has ended."""
        closed: set[Node] = set()
        for _ in range(self.simulations):
            leaf = descend(tree.root, self.select, closed)
            if leaf is None:
                tree.stopped = "exhausted"
                break
            children = await tree.expand(leaf, self.expand)
            values = await tree.evaluate(children)
            self.select.set_priors(leaf)
            value, best = max(zip(values, children, strict=True), key=lambda pair: (pair[0], -pair[1].id))
            backup_weighted(best, await self._mixed(tree, best, value))
            if best.terminal == "answer" and self.gate is not None and value >= self.gate:
                tree.stopped = "answered"
                break
        answers = [node for node in tree.nodes if node.terminal == "answer" and node.value is not None and node.source == "policy"]
        tree.vote([(max(answers, key=lambda node: (node.value or 0.0, -node.id)), 1.0)] if answers else [])

    async def _mixed(self, tree: SearchTree, node: Node, value: float) -> float:
        """The node's value mixed with the best one that a greedy walk below it meets."""
        greedy = self.expand.model_copy(update={"temperature": 0.0, "n": 1})
        met, here = list[float](), node
        for _ in range(self.ahead):
            if here.terminal:
                break
            [here] = await tree.advance([here], greedy, source="lookahead")
            met += await tree.evaluate([here])
        return self.mix * value + (1 - self.mix) * max(met) if met else value


def backup_weighted(node: Node, value: float) -> None:
    """One visit with `value` for the node; every Q above becomes the visit-weighted mean of its children's. W stays Q * N."""
    node.visits, node.total = node.visits + 1, node.total + value
    above = node.parent
    while above is not None:
        visited = [child for child in above.steps() if child.visits]
        above.visits += 1
        above.total = above.visits * sum(child.total for child in visited) / sum(child.visits for child in visited)
        above = above.parent
