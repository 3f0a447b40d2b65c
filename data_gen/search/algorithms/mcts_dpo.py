"""MCTS whose siblings become preferences (Xie et al., MCTS-DPO, arXiv 2405.00451, section 3.1): self-evaluation and
outcome, rewards of steps, and moves that are committed one by one.

What differs from the released code: a walk counts once where it begins (there twice; the first version of the code also
counted a walk again for every expansion on its way); the self-evaluation C is used unchanged (there it is divided by
the depth, replaced by the parent's if it is 0, and set to 1.25 for a right answer that does not copy the gold); step
length does not depend on the gold solution's length; no gold step is added to the children; near duplicates merge by
their words (`expand: {dedupe: near}`, there by the policy's embeddings); a committed path that dies is left for one
that lives (there it ends the tree).
"""

from __future__ import annotations

from collections.abc import Set
from typing import Literal

from pydantic import Field

from data_gen.records.scales import Scale
from data_gen.records.trees import Held
from data_gen.search.backup import back_up_rewards
from data_gen.search.base import SEARCHES
from data_gen.search.budget import Budgeted
from data_gen.search.node import Node
from data_gen.search.select import Puct
from data_gen.search.tree import SearchTree


@SEARCHES.register("mcts_dpo")
class MctsDpo(Budgeted):
    """MCTS in which a step's reward is R(s') - R(s), with R(s) = C(s) + O(s).

    C is the scorer's P(correct), `self_evaluation` in the paper. O is +1 or -1 at an end.

    Q = R(s') - R(s) + gamma * V(s') is relative to the step's start. It compares siblings only, hence scale ranking.
    Pairs: `{uses: best_sibling, along: answer, smoothing: visits, chains: true, scale: ranking}`. N of a committed node
    counts the visits that chose it and those that began there.
    """

    uses: Literal["mcts_dpo"] = "mcts_dpo"
    iterations: int = Field(16, ge=1)
    """Walks per move (5 in the paper, 64 in the code)."""
    root_factor: int = Field(4, ge=1)
    """Factor on the number of walks for the first move."""
    horizon: int = Field(3, ge=1)
    """Steps below the committed node after which a walk ends."""
    first: int | None = Field(None, ge=1)
    """Number of children of the question. None: `expand.n`, as for other nodes."""
    returns: int = Field(4, ge=0)
    """How many times a committed path that can no longer have an answer is left for the nearest step above it that can.
    0: the first dead end that is committed to ends the tree, as in the released code."""
    gamma: float = Field(1.0, ge=0, le=1)
    select: Puct = Puct(c=1.0, prior="length_penalised", fpu="reward")
    outcome_weight: float = Field(1.0, ge=0)
    """Weight of O. 0 needs no gold."""
    scale: Literal[Scale.RANKING] = Scale.RANKING

    def counts(self, *, gold: bool) -> frozenset[Held]:
        """Visits, and Q of what was backed up."""
        return frozenset({"visits"})

    @property
    def needs_gold(self) -> bool:
        """True if O counts, since O is an outcome."""
        return self.outcome_weight > 0 or super().needs_gold

    def width(self) -> int:
        """The children of one node."""
        return max(self.expand.n, self.first or 0)

    def draws(self) -> int:
        """Every walk may expand a node at each step, up to the size of a full tree."""
        moves = self.max_depth * (1 + self.returns)
        walks = self.iterations * (self.root_factor + moves - 1) * self.horizon
        full = sum(self.width() ** depth for depth in range(1, self.horizon + 1)) * moves
        return min(walks * self.width(), full)

    async def grow(self, tree: SearchTree) -> None:
        """Walk, commit to a child and continue below it with its statistics, until the committed path has ended."""
        here, left, dead = tree.root, self.returns, set[Node]()
        while not here.terminal and not self.over(tree):
            for _ in range(self.iterations * (self.root_factor if here is tree.root else 1)):
                if self.over(tree):
                    break
                await self._walk(tree, here)
            place = living(here, dead) if self.returns else None
            if place is not None and place is not here and left > 0:
                here, left = place, left - 1
            here = commit(here, dead)
        if here.terminal:
            tree.stopped = "answered" if here.terminal == "answer" else "exhausted"
        tree.vote([(here, 1.0)] if here.terminal == "answer" else [])

    async def _walk(self, tree: SearchTree, here: Node) -> None:
        """Walk down to an end or to the horizon, expanding nodes without children, and back up."""
        node = here
        while not node.terminal and node.depth - here.depth < self.horizon:
            if not node.steps():
                await self._expand(tree, node)
            node = self.select.choose(node, node.steps())
        back_up_rewards(node, here, self.gamma)

    async def _expand(self, tree: SearchTree, node: Node) -> None:
        children = await tree.expand(node, self.expand, self.first if node is tree.root else None)
        await tree.evaluate(children)
        if self.outcome_weight > 0:
            await tree.judge(children)
        for child in children:
            child.reward = self.worth(child) - self.worth(node)
        self.select.set_priors(node)

    def worth(self, node: Node) -> float:
        """R. The question has 0, as in the code."""
        outcome = 0.0 if node.terminal in ("invalid", "limit") else node.outcome
        ends = 2 * outcome - 1 if node.terminal and outcome is not None else 0.0
        return (node.value or 0.0) + self.outcome_weight * ends


def living(node: Node, dead: set[Node]) -> Node | None:
    """The nearest of `node` and the nodes above it with a step below that may still lead to an answer. None if there is
    none. Dead nodes are added to `dead`."""
    for above in node.up():
        dead.update(child for child in above.steps() if child.terminal in ("invalid", "limit"))
        if not dead.issuperset(above.steps()):
            return above
        dead.add(above)
    return None


def commit(node: Node, dead: Set[Node] = frozenset()) -> Node:
    """The child with the greatest visits * (1 + spread of the visits of its own children), then the greatest Q, then
    the oldest. A dead child is chosen only if all are dead."""

    def rank(child: Node) -> tuple[float, float, int]:
        visits = [below.visits for below in child.steps()]
        gap = max(visits) - min(visits) if visits else 0
        return child.visits * (1 + gap), child.q if child.visits else child.reward, -child.id

    return max([child for child in node.steps() if child not in dead] or node.steps(), key=rank)
