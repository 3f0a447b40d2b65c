"""MCTS with PUCT, leaves worth value and outcome, and running-mean backup (AlphaMath, arXiv 2405.03553, section 3)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from data_gen.scales import BOUNDS, Scale
from data_gen.search.base import SEARCHES, Search
from data_gen.search.node import Node
from data_gen.search.select import Puct, Selector, descend
from data_gen.search.tree import SearchTree


@SEARCHES.register("mcts")
class Mcts(Search):
    """Every simulation walks to an open leaf, gives it children and backs up what the leaf is worth.

    As in the released code a terminal child backs up its reward when it is made, so visits may outnumber simulations; unlike there
    a walk that meets a dead end turns elsewhere, and the tree ends only when nothing open is left.
    """

    uses: Literal["mcts"] = "mcts"
    simulations: int = Field(40, ge=1)
    wave: int = Field(1, ge=1)
    """Leaves that are expanded at once, all chosen before any is awaited, with virtual loss."""
    select: Selector = Puct()
    outcome_weight: float = Field(1.0, ge=0, le=1)
    """lambda at terminal nodes: (1 - lambda) * value + lambda * reward. 0 needs no gold and is what serves at test time."""
    scale: Scale = Scale.SIGNED

    @property
    def needs_gold(self) -> bool:
        """Rewards are outcomes, unless their weight is 0."""
        return self.outcome_weight > 0

    def width(self) -> int:
        """A wave of leaves, expanded together."""
        return self.wave * self.expand.n

    def draws(self) -> int:
        """Every simulation expands one node."""
        return self.simulations * self.expand.n

    async def grow(self, tree: SearchTree) -> None:
        """Simulations in waves; ends early (`exhausted`) when every path has ended."""
        closed: set[Node] = set()
        await tree.evaluate([tree.root])
        for done in range(0, self.simulations, self.wave):
            leaves = self._choose(tree, min(self.wave, self.simulations - done), closed)
            if not leaves:
                tree.stopped = "exhausted"
                break
            families = await tree.expand_all(leaves, self.expand)
            children = [child for family in families for child in family]
            await tree.evaluate(children)
            if self.outcome_weight > 0:
                await tree.judge([child for child in children if child.terminal])
            for leaf, family in zip(leaves, families, strict=True):
                self.select.set_priors(leaf)
                for child in family:
                    if child.terminal:
                        backup(child, self.worth(tree, child))
                backup(leaf, self.worth(tree, leaf))
        tree.vote([(best, 1.0)] if (best := best_answer(tree.root)) else [])

    def worth(self, tree: SearchTree, node: Node) -> float:
        """V of an open node; V and reward mixed at a terminal one (all reward where it has no answer)."""
        value = node.value if node.value is not None else 0.0
        reward = tree.reward(node) if node.terminal else None
        if reward is None:
            return value
        weight = self.outcome_weight if node.terminal == "answer" else 1.0
        return (1 - weight) * value + weight * reward

    def _choose(self, tree: SearchTree, wave: int, closed: set[Node]) -> list[Node]:
        """Up to `wave` different open leaves. Each chosen path counts as visited and lost until the wave is over."""
        worst, leaves = BOUNDS[tree.scale][0], list[Node]()
        while len(leaves) < wave:
            # A leaf that is already chosen is closed for the rest of the wave only, and so are the nodes above it.
            leaf = descend(tree.root, self.select, closed | set(leaves) if leaves else closed)
            if leaf is None:
                break
            leaves.append(leaf)
            for node in leaf.up():
                node.visits, node.total = node.visits + 1, node.total + worst
        for leaf in leaves:
            for node in leaf.up():
                node.visits, node.total = node.visits - 1, node.total - worst
        return leaves


def backup(node: Node, value: float) -> None:
    """Running mean: one visit of `value` for the node and all above it."""
    for above in node.up():
        above.visits += 1
        above.total += value


def best_answer(root: Node) -> Node | None:
    """Down by the greatest Q among children that lead to an answer (AlphaMath's inference); None where none does."""
    leads = {above for node in root.walk() if node.terminal == "answer" for above in node.up()}
    node = root
    while node.terminal != "answer":
        children = [child for child in node.steps() if child in leads]
        if not children:
            return None
        node = max(children, key=lambda child: (child.q if child.visits else float("-inf"), -child.id))
    return node
