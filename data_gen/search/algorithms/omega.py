"""OmegaPRM: the first error of a wrong rollout by binary search (Luo et al., arXiv 2406.06592, section 3.2 and
algorithm 1).

What differs from OpenR's implementation: the task's checker decides correctness (there a substring of the last
sentence); lengths are tokens (there words); a midpoint is estimated once (there twice); a rollout is searched once
(there all wrong rollouts of a state return to the pool); N of a state rises whenever one of its rollouts is chosen, as
in the paper (there whenever the state is estimated, the question and every midpoint included), and scores follow at
once (there a rollout keeps its score until its state is chosen again); beginnings that rollouts share are estimated
once; every step of a searched rollout is a node, so that no edge hides two of them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field

from data_gen.records.scales import Scale
from data_gen.records.trees import Held
from data_gen.search.base import SEARCHES
from data_gen.search.budget import Budgeted, unanimous
from data_gen.search.node import Node
from data_gen.search.tree import SearchTree


@dataclass(slots=True)
class Bisection:
    """Bounds on where a rollout goes wrong: `path[low - 1]` can still end right (0: the state it was drawn from),
    `path[high - 1]` never did."""

    path: list[Node]
    low: int
    high: int

    @property
    def middle(self) -> Node | None:
        """The step to test next. None once `high` is the first error."""
        return self.path[(self.low + self.high) // 2 - 1] if self.high - self.low > 1 else None

    def halve(self) -> None:
        """Halve the range by the counts of the middle step."""
        at = (self.low + self.high) // 2
        if self.path[at - 1].mc_correct > 0:
            self.low = at
        else:
            self.high = at


@SEARCHES.register("omega")
class Omega(Budgeted):
    """Binary search for the first errors of wrong rollouts: `Omega(searches=16, k=8)`.

    States that can end both ways add their wrong rollouts to a pool. The rollout with the greatest alpha^(1 - MC) *
    beta^(length / L) + c * sqrt(sum of N) / (1 + N) is searched next. Labels are the mc counts of the nodes.
    """

    one_draw: ClassVar[bool] = True
    takes_solutions: ClassVar[bool] = True
    whole: ClassVar[bool] = True

    uses: Literal["omega"] = "omega"
    searches: int = Field(16, ge=1)
    """Most rollouts that are searched."""
    wave: int = Field(1, ge=1)
    """Searches that run side by side. All are chosen before the first begins."""
    k: int = Field(8, ge=1)
    """Rollouts per state."""
    alpha: float = Field(0.5, gt=0, le=1)
    """Small values favour states that mostly end right."""
    beta: float = Field(0.9, gt=0, le=1)
    """Small values favour short rollouts."""
    length: int = Field(500, ge=1)
    """L, in tokens."""
    c: float = Field(0.125, ge=0)
    scale: Literal[Scale.P] = Scale.P

    def counts(self, *, gold: bool) -> frozenset[Held]:
        """Visits of whole solutions, and completions of their steps."""
        return frozenset({"visits", "rollouts"})

    @property
    def needs_scorer(self) -> bool:
        """It uses rollouts only."""
        return False

    @property
    def needs_gold(self) -> bool:
        """True: rollouts are graded."""
        return True

    def width(self) -> int:
        """The rollouts of one midpoint of every search."""
        return self.wave * self.k

    def draws(self) -> int:
        """k rollouts of the question and of every midpoint."""
        return self.k * (1 + self.searches * math.ceil(math.log2(max(2, self.max_depth))))

    async def grow(self, tree: SearchTree) -> None:
        """Estimate the question, then search in waves while there are candidates."""
        await tree.complete([tree.root], self.k, self.expand)
        if unanimous(tree.root.rollouts(), self.k):
            tree.stopped = "decided"
            return
        pool, visits, done = candidates([tree.root]), Counter[Node](), 0
        while done < self.searches and not self.over(tree):
            chosen = self._choose(pool, visits, min(self.wave, self.searches - done))
            if not chosen:
                tree.stopped = "exhausted"
                break
            pool += candidates(await self._locate(tree, chosen))
            done += len(chosen)

    async def _locate(self, tree: SearchTree, rollouts: list[Node]) -> list[Node]:
        """Find the first error of every rollout. Returns the states that were estimated for the first time."""
        searches = [Bisection(path, 0, len(path)) for path in map(tree.unroll, rollouts)]
        fresh: list[Node] = []
        while middles := [search.middle for search in searches if search.middle]:
            fresh += [node for node in dict.fromkeys(middles) if not node.rollouts()]
            await tree.complete(middles, self.k, self.expand)
            for search in searches:
                if search.middle:
                    search.halve()
        return fresh

    def _choose(self, pool: list[Node], visits: Counter[Node], wave: int) -> list[Node]:
        """Take up to `wave` rollouts out of the pool. Ties go to the oldest."""
        chosen: list[Node] = []
        while pool and len(chosen) < wave:
            best = max(pool, key=lambda rollout: (self.score(rollout, visits), -rollout.id))
            pool.remove(best)
            chosen.append(best)
            visits[_state(best)] += 1
        return chosen

    def score(self, rollout: Node, visits: Counter[Node]) -> float:
        """Q + U."""
        state = _state(rollout)
        worth = self.alpha ** (1 - state.mc_correct / state.mc_total) * self.beta ** (
            len(rollout.token_ids) / self.length
        )
        return worth + self.c * math.sqrt(visits.total()) / (1 + visits[state])


def candidates(states: Iterable[Node]) -> list[Node]:
    """The distinct wrong rollouts of states that can end both ways."""
    found: dict[tuple[Node, tuple[int, ...]], Node] = {}
    for state in states:
        if 0 < state.mc_correct < state.mc_total:
            for leaf in state.rollouts():
                if leaf.outcome == 0:
                    found.setdefault((state, leaf.token_ids), leaf)
    return list(found.values())


def _state(rollout: Node) -> Node:
    assert rollout.parent is not None
    return rollout.parent
