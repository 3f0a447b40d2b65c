"""MCTS for preference data: self-evaluation and outcome, edge rewards, one committed move at a time (MCTS-DPO, arXiv 2405.00451)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from data_gen.scales import Scale
from data_gen.search.base import SEARCHES, Search
from data_gen.search.expand import Expand
from data_gen.search.node import Node
from data_gen.search.select import Puct, Selector
from data_gen.search.tree import SearchTree


@SEARCHES.register("mcts_dpo")
class MctsDpo(Search):
    """R(s) = C(s) + O(s): the scorer's P(correct), and +1 or -1 where a solution ends. An edge is worth R(s') - R(s) + gamma V(s').

    Q is relative and about in [-1, 2], so trees carry the scale `ranking`. Unlike the released code: the root is counted once a
    simulation, gold steps are never put into a tree, and C is neither divided by the depth nor graded by kind of question.
    """

    uses: Literal["mcts_dpo"] = "mcts_dpo"
    expand: Expand = Expand(n=2, dedupe="near")
    root_n: int | None = Field(None, ge=1)
    """Draws of the first step; default: as any other."""
    iterations: int = Field(16, ge=1)
    """Simulations before each move."""
    root_factor: int = Field(4, ge=1)
    """So many times more before the first."""
    select: Selector = Puct(c=1.0, prior="length_penalised", length_power=1.25)
    gamma: float = Field(1.0, ge=0, le=1)
    outcome_weight: float = Field(1.0, ge=0)
    """Of O. 0 needs no gold."""
    scale: Scale = Scale.RANKING

    @property
    def needs_gold(self) -> bool:
        """Outcomes are gold's, unless their weight is 0."""
        return self.outcome_weight > 0

    def draws(self) -> int:
        """Every simulation expands a path of steps, at most."""
        return self.expand.n * self.iterations * (self.root_factor + self.max_depth - 1) * self.max_depth

    async def grow(self, tree: SearchTree) -> None:
        """Simulate from where the search stands, commit to a child, keep its subtree, go on until the solution has ended."""
        here = tree.root
        while not here.terminal:
            for _ in range(self.iterations * (self.root_factor if here is tree.root else 1)):
                await self._simulate(tree, here, self._walk(here))
            here = max(here.steps(), key=lambda child: (child.visits * (1 + gap(child)), -child.id))
        tree.vote([(here, 1.0)] if here.terminal == "answer" else [])
        tree.stopped = "answered" if here.terminal == "answer" else "exhausted"

    def _walk(self, node: Node) -> Node:
        """Down to a step without children. An end may be walked to again: it draws nothing, and its visits are what moves go by."""
        while node.steps():
            node = self.select.choose(node, node.steps())
        return node

    async def _simulate(self, tree: SearchTree, here: Node, leaf: Node) -> None:
        """Expand from the leaf to an end, each time below the child of the greatest reward, and back the whole path up."""
        while not leaf.terminal:
            children = await tree.expand(leaf, self.expand, self.root_n if leaf is tree.root else None)
            await tree.evaluate(children)
            if self.outcome_weight > 0:
                await tree.judge(children)
            self.select.set_priors(leaf)
            leaf = max(children, key=lambda child: (self.reward(child), -child.id))
        self._backup(here, leaf)

    def reward(self, node: Node) -> float:
        """R(s); 0 for the root, from which everything is counted. An end that cannot be verified has no O."""
        if node.parent is None:
            return 0.0
        outcome = (0.0 if node.terminal in ("invalid", "limit") else node.outcome) if node.terminal else None
        return (node.value or 0.0) + (0.0 if outcome is None else self.outcome_weight * (2 * outcome - 1))

    def edge(self, node: Node) -> float:
        """R(s') - R(s) of the step into `node`."""
        return self.reward(node) - (self.reward(node.parent) if node.parent else 0.0)

    def _backup(self, here: Node, end: Node) -> None:
        """From the end up to where the search stands: N + 1, and Q = r + gamma V. W is kept as Q * N."""
        for node in end.up():
            node.visits += 1
            node.total = node.visits * (self.edge(node) + self.gamma * self._value(node))
            if node is here:
                break

    def _value(self, node: Node) -> float:
        """V(s): the visit-weighted mean of the children's Q; one that was never visited counts once, with its edge reward."""
        children = node.steps()
        weights = [max(1, child.visits) for child in children]
        worths = [child.q if child.visits else self.edge(child) for child in children]
        return sum(w * q for w, q in zip(weights, worths, strict=True)) / sum(weights) if children else 0.0


def gap(node: Node) -> float:
    """How far apart the visits of its children are, as a share of them: a step whose children differ tells more."""
    visits = [child.visits for child in node.steps()]
    return (max(visits) - min(visits)) / sum(visits) if sum(visits) else 0.0
