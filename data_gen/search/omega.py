"""OmegaPRM: a binary search for the first error of each wrong rollout (arXiv 2406.06592, section 3.3 and algorithm 1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from data_gen.search.base import SEARCHES, Search
from data_gen.search.node import Node
from data_gen.search.tree import SearchTree

Candidate = tuple[Node, Node]
"""(state, a wrong rollout of it)."""


@SEARCHES.register("omega")
class Omega(Search):
    """States that are neither always right nor always wrong, each with its wrong rollouts, searched in order of Q + U.

    Q = alpha^(1 - MC) * beta^(length / L), U = c * sqrt(sum N) / (1 + N). OpenR prints another Q than it computes, counts length in words
    and judges by substring; here length is in tokens, and the task's checker judges. A rollout's steps enter the tree as `replayed`.
    """

    uses: Literal["omega"] = "omega"
    needs_scorer: ClassVar[bool] = False
    takes_solutions: ClassVar[bool] = True
    searches: int = Field(8, ge=1)
    """Wrong rollouts that are searched, at most."""
    k: int = Field(8, ge=1)
    """Rollouts of every state that is looked at."""
    alpha: float = Field(0.5, gt=0, le=1)
    beta: float = Field(0.9, gt=0, le=1)
    length_scale: float = Field(500.0, gt=0)
    """L, in tokens."""
    c: float = Field(0.125, ge=0)

    @property
    def needs_gold(self) -> bool:
        """Rollouts are judged."""
        return True

    def draws(self) -> int:
        """Halving a rollout of max_depth steps takes log2 of them looks."""
        return self.k * (1 + self.searches * math.ceil(math.log2(self.max_depth + 1)))

    async def grow(self, tree: SearchTree) -> None:
        """Roll the root out, then search the best candidate until none or no budget is left."""
        await tree.complete([tree.root], self.k, self.expand)
        pool = candidates(tree.root)
        if not pool:
            tree.stopped = "decided"
            return
        for _ in range(self.searches):
            if not pool:
                tree.stopped = "exhausted"
                break
            state, rollout = max(pool, key=lambda candidate: (self.score(candidate, pool), -candidate[1].id))
            pool.remove((state, rollout))
            state.visits += 1
            for node in await self._first_error(tree, rollout):
                pool += candidates(node)

    def score(self, candidate: Candidate, pool: Sequence[Candidate]) -> float:
        """Q + U of a candidate; sum N runs over the states of the pool."""
        state, rollout = candidate
        wrong = 1 - state.mc_correct / state.mc_total
        q = self.alpha**wrong * self.beta ** (len(rollout.token_ids) / self.length_scale)
        visits = sum(node.visits for node in dict.fromkeys(node for node, _ in pool))
        return q + self.c * math.sqrt(visits) / (1 + state.visits)

    async def _first_error(self, tree: SearchTree, rollout: Node) -> list[Node]:
        """Halve the rollout: a state without a right completion lies at or behind the first error. Returns the states that were looked at.

        `low` steps are known to be fine, the step that ends at `high` is known to be beyond repair; at the end they are neighbours.
        """
        steps, looked = tree.unroll(rollout), list[Node]()
        low, high = 0, len(steps)
        while high - low > 1:
            middle = (low + high) // 2
            state = steps[middle - 1]
            await tree.complete([state], self.k, self.expand)
            looked.append(state)
            if state.mc_correct:
                low = middle
            else:
                high = middle
        return looked


def candidates(state: Node) -> list[Candidate]:
    """A state and each of its wrong rollouts, where some but not all of them are wrong."""
    if not 0 < state.mc_correct < state.mc_total:
        return []
    return [(state, leaf) for leaf in state.children if leaf.source == "rollout" and leaf.outcome == 0.0]
