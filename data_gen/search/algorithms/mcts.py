"""MCTS with PUCT, a leaf value mixed from value and outcome, and running-mean backup (AlphaMath, arXiv 2405.03553,
section 3).

What differs from the released code (Super_MARIO): a walk that meets a dead end continues elsewhere (there the tree is
never walked again); c is the paper's 1.25 (there 1.5 if the config does not set it); equal draws merge in order of
their first (there in that of a Python set); ties go to the oldest (there they are random); several leaves may be
expanded at once; every child is valued when it is created.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from data_gen.records.scales import Scale, convert, convertible
from data_gen.records.trees import Held
from data_gen.search.backup import Backup, back_up
from data_gen.search.base import SEARCHES
from data_gen.search.budget import Budgeted
from data_gen.search.node import Node
from data_gen.search.select import Puct, Selector, best_answer, close, descend
from data_gen.search.tree import SearchTree


@SEARCHES.register("mcts")
class Mcts(Budgeted):
    """Every simulation walks to an open leaf, expands it and backs up the leaf's value.

    As in the released code, a terminal child backs up its reward when it is created, so visits may outnumber
    simulations. On scale p, `Mcts(scale="p", select=Puct(c=0.625, fpu="half"))` walks as the default does on [-1, 1].
    With `outcome_weight: 0` the search answers.
    """

    uses: Literal["mcts"] = "mcts"
    simulations: int = Field(40, ge=1)
    wave: int = Field(1, ge=1)
    """Number of leaves that are expanded at once. All are chosen before any is awaited, with virtual loss."""
    select: Selector = Puct()
    backup: Backup = "mean"
    outcome_weight: float = Field(1.0, ge=0, le=1)
    """lambda at terminal nodes: (1 - lambda) * value + lambda * reward. 0 needs no gold and is the setting for test
    time."""
    scale: Scale = Scale.SIGNED

    def counts(self, *, gold: bool) -> frozenset[Held]:
        """Visits, and Q of what was backed up."""
        return frozenset({"visits"})

    @model_validator(mode="after")
    def _rewards_have_a_place(self) -> Self:
        if self.outcome_weight > 0 and not convertible(self.scale, Scale.P):
            raise ValueError(
                f"scale: {str(self.scale)!r} cannot hold outcomes; use p, signed or odds, or `outcome_weight: 0`"
            )
        return self

    @property
    def needs_gold(self) -> bool:
        """Rewards are outcomes, unless their weight is 0."""
        return self.outcome_weight > 0 or super().needs_gold

    def width(self) -> int:
        """One wave of leaves, expanded together."""
        return self.wave * self.expand.n

    def draws(self) -> int:
        """Every simulation expands one node."""
        return self.simulations * self.expand.n

    async def grow(self, tree: SearchTree) -> None:
        """Simulations in waves. It ends early (`exhausted`) when every path has ended."""
        closed: set[Node] = set()
        done = 0
        await tree.evaluate([tree.root])
        while done < self.simulations and not self.over(tree):
            leaves = self._choose(tree, min(self.wave, self.simulations - done), closed)
            if not leaves:
                tree.stopped = "exhausted"
                break
            await self._simulate(tree, leaves, closed)
            done += len(leaves)
        tree.vote([(best, 1.0)] if (best := best_answer(tree.root)) else [])

    async def _simulate(self, tree: SearchTree, leaves: list[Node], closed: set[Node]) -> None:
        """Expand, evaluate and back up, in the order in which the leaves were chosen."""
        families = await tree.expand_all(leaves, self.expand)
        children = [child for family in families for child in family]
        await tree.evaluate(children)
        if self.outcome_weight > 0:
            await tree.judge([child for child in children if child.terminal])
        for leaf, family in zip(leaves, families, strict=True):
            self.select.set_priors(leaf)
            for child in family:
                if child.terminal:
                    back_up(child, self.worth(tree, child), self.backup)
            back_up(leaf, self.worth(tree, leaf), self.backup)
            if all(child.terminal for child in family):
                close(leaf, closed)

    def worth(self, tree: SearchTree, node: Node) -> float:
        """V of an open node. A terminal node mixes V and reward (reward alone if it has no answer)."""
        value = node.value if node.value is not None else 0.0
        reward = tree.reward(node) if node.terminal else None
        if reward is None:
            return value
        weight = self.outcome_weight if node.terminal == "answer" else 1.0
        return (1 - weight) * value + weight * reward

    def _choose(self, tree: SearchTree, wave: int, closed: set[Node]) -> list[Node]:
        """Up to `wave` different open leaves. Each chosen path counts as visited and lost until the wave is over."""
        first = descend(tree.root, self.select, closed)
        if first is None or wave == 1:
            return [first] if first else []
        # A chosen leaf is closed for the rest of the wave only, and so are the nodes above it that have nothing else
        # open.
        passed, before, leaves = set(closed), dict[Node, tuple[int, float]](), list[Node]()
        leaf: Node | None = first
        while leaf is not None:
            leaves.append(leaf)
            close(leaf, passed)
            for node in leaf.up():
                before.setdefault(node, (node.visits, node.total))
                node.visits, node.total = node.visits + 1, node.total + loss(tree.scale)
            leaf = descend(tree.root, self.select, passed) if len(leaves) < wave else None
        for node, (visits, total) in before.items():  # restores the exact bits
            node.visits, node.total = visits, total
        return leaves


def loss(scale: Scale) -> float:
    """What a virtual loss adds to W: the value of a wrong answer, or 0 on scales without outcomes, so that only the
    visit counts."""
    return convert(0.0, Scale.P, scale) if convertible(scale, Scale.P) else 0.0
