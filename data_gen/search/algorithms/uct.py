"""UCT over whole rollouts with rewards of +-1 (rStar-Math, arXiv 2501.04519, section 3.2).

It has its own file beside `mcts`, because a rollout continues below the leaf, child by child, to the end, and only ends
are backed up. What differs from the released code: a rollout that finds everything below a node ended closes the node,
so that no later rollout is wasted there; endings without an answer count against the whole path (there against
themselves alone), so that counts are conserved; ties go to the oldest.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from data_gen.records.scales import Scale, convertible
from data_gen.records.trees import Held
from data_gen.search.backup import Backup, back_up
from data_gen.search.base import SEARCHES
from data_gen.search.budget import Budgeted
from data_gen.search.node import Node
from data_gen.search.select import Selector, Ucb, best_answer, close, open_children
from data_gen.search.tree import SearchTree


@SEARCHES.register("uct")
class Uct(Budgeted):
    """`rollouts` walks, each from the question to an end: `Uct(rollouts=16, expand=Expand(n=8))`.

    Q + 2 * sqrt(ln N(parent) / N). An unvisited child scores 0, as in the released code, so a sibling with positive Q
    starves it; `fpu: inf` is textbook UCB1. With a process preference model as the scorer, `select: {uses: ucb, c: 2,
    k: 1, value_visits: 1}` counts a scored step as visited once with its value, in Q and in N, so that siblings keep
    their bonus.
    """

    uses: Literal["uct"] = "uct"
    rollouts: int = Field(16, ge=1)
    select: Selector = Ucb(c=2.0, k=1.0, fpu="zero")
    backup: Backup = "mean"
    outcomes: bool = True
    """True: ends earn their outcome. False: they earn the scorer's value, as at test time."""
    scale: Scale = Scale.SIGNED

    def counts(self, *, gold: bool) -> frozenset[Held]:
        """Visits, and Q of what was backed up."""
        return frozenset({"visits"})

    @model_validator(mode="after")
    def _rewards_have_a_place(self) -> Self:
        if self.outcomes and not convertible(self.scale, Scale.P):
            raise ValueError(
                f"scale: {str(self.scale)!r} cannot hold outcomes; use p, signed or odds, or `outcomes: false`"
            )
        return self

    @property
    def needs_scorer(self) -> bool:
        """Needs none if ends earn their outcome."""
        return not self.outcomes

    @property
    def needs_gold(self) -> bool:
        """True if ends earn their outcome."""
        return self.outcomes or super().needs_gold

    def draws(self) -> int:
        """Every rollout may expand a node at each depth."""
        return self.rollouts * self.max_depth * self.expand.n

    async def grow(self, tree: SearchTree) -> None:
        """Rollouts from the root until the budget is spent or nothing is open."""
        closed: set[Node] = set()
        for _ in range(self.rollouts):
            if self.over(tree):
                break
            if tree.root in closed:
                tree.stopped = "exhausted"
                break
            await self._roll_out(tree, closed)
        tree.vote([(best, 1.0)] if (best := best_answer(tree.root)) else [])

    async def _roll_out(self, tree: SearchTree, closed: set[Node]) -> None:
        """Walk down until no step is open. Ends are backed up as they are found."""
        node = tree.root
        while True:
            if not node.steps():
                await self._expand(tree, node)
            children = open_children(node, closed)
            if not children:
                close(node, closed)
                return
            node = self.select.choose(node, children)

    async def _expand(self, tree: SearchTree, node: Node) -> None:
        children = await tree.expand(node, self.expand)
        ends = [child for child in children if child.terminal]
        if tree.scorer is not None:
            await tree.evaluate(children)
        if self.outcomes:
            await tree.judge(ends)
        self.select.set_priors(node)
        for child in ends:
            worth = tree.reward(child) if self.outcomes or child.terminal != "answer" else None
            value = worth if worth is not None else child.value
            if value is not None:  # an answer that cannot be verified adds nothing
                back_up(child, value, self.backup)
