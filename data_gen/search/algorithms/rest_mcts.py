"""ReST-MCTS* (Zhang et al., arXiv 2406.03816, section 3.2 and algorithm 2): UCB over progress values, a short rollout
from the best child.

What differs from the released code: an ended step is visited once, when it is created, and does not cost a round each
time UCB selects it; only an answer whose value reaches `stop_at` ends the search (there any step); the rollout's draws
stay in the tree as `lookahead`; ties go to the best value, then to the oldest (there they are random). It does not ask
for reflection.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from data_gen.records.scales import Scale, as_weight
from data_gen.records.trees import Held
from data_gen.search.backup import back_up
from data_gen.search.base import SEARCHES
from data_gen.search.budget import Budgeted
from data_gen.search.node import Node
from data_gen.search.select import Ucb, close, descend
from data_gen.search.tree import SearchTree


@SEARCHES.register("rest_mcts")
class RestMcts(Budgeted):
    """UCB over progress values: V + 0.7 * sqrt(2 ln N(parent) / N), unvisited children first.

    V(s) is the visit-weighted mean of the children.

    The scorer is a progress head. For one that gives P(correct), set `scale: p`. Answers vote with their values.
    """

    uses: Literal["rest_mcts"] = "rest_mcts"
    iterations: int = Field(40, ge=1)
    select: Ucb = Ucb(c=0.7, k=2.0, fpu="inf")
    roll_steps: int = Field(3, ge=0)
    """Steps of the rollout."""
    roll_width: int = Field(1, ge=1)
    """Draws per step of the rollout. The best one continues."""
    mix: float = Field(0.5, ge=0, le=1)
    """alpha: (1 - alpha) * V + alpha * the best value on the rollout."""
    stop_at: float | None = 0.9
    """An answer of at least this value ends the search. None: never, as for collecting data."""
    scale: Scale = Scale.PROGRESS

    def counts(self, *, gold: bool) -> frozenset[Held]:
        """Visits, and Q of what was backed up."""
        return frozenset({"visits"})

    def draws(self) -> int:
        """Every iteration expands one node and rolls out once."""
        return self.iterations * (self.expand.n + self.roll_steps * self.roll_width)

    async def grow(self, tree: SearchTree) -> None:
        """Select, expand, roll out, back up."""
        closed: set[Node] = set()
        for _ in range(self.iterations):
            if self.over(tree):
                break
            leaf = descend(tree.root, self.select, closed)
            if leaf is None:
                tree.stopped = "exhausted"
                break
            children = await self._expand(tree, leaf, closed)
            if any(child.terminal == "answer" and self._good(child) for child in children):
                tree.stopped = "answered"
                break
        answers = [node for node in tree.nodes if node.terminal == "answer" and node.source == "policy"]
        tree.vote([(node, as_weight(node.value or 0.0, tree.scale)) for node in answers])

    async def _expand(self, tree: SearchTree, leaf: Node, closed: set[Node]) -> list[Node]:
        """Creates the children. The ended ones and the best one are visited."""
        children = await tree.expand(leaf, self.expand)
        values = dict(zip(children, await tree.evaluate(children), strict=True))
        for child in children:
            if child.terminal:
                back_up(child, values[child], "visits")
        best = max(children, key=lambda child: (values[child], -child.id))
        if not best.terminal:
            ahead = await self._roll_out(tree, best)
            back_up(best, (1 - self.mix) * values[best] + self.mix * ahead, "visits")
        if all(child.terminal for child in children):
            close(leaf, closed)
        return children

    async def _roll_out(self, tree: SearchTree, node: Node) -> float:
        """The best value on a greedy walk of `roll_steps` below `node`, or the node's own value if the walk is
        empty."""
        met: list[float] = []
        while not node.terminal and len(met) < self.roll_steps:
            [drawn] = await tree.draw([node], self.expand, self.roll_width, source="lookahead")
            values = await tree.evaluate(drawn)
            value, node = max(zip(values, drawn, strict=True), key=lambda pair: (pair[0], -pair[1].id))
            met.append(value)
        return max(met) if met else node.value or 0.0

    def _good(self, node: Node) -> bool:
        return self.stop_at is not None and node.value is not None and node.value >= self.stop_at
