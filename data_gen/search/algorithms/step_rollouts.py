"""Rollouts from every step of sampled solutions (Wang et al., Math-Shepherd, arXiv 2312.08935, section 3.3).

No labelling code was released. Counts are stored and labels made later (`value_targets` with the rule `mc`), since the
meaning of "any of N is right" depends on N. Steps that solutions share are rolled out once, and every completion stays
in the tree.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from data_gen.records.trees import Held
from data_gen.search.algorithms.iid import Sampled
from data_gen.search.base import SEARCHES
from data_gen.search.tree import SearchTree


@SEARCHES.register("step_rollouts")
class StepRollouts(Sampled):
    """n solutions with m rollouts from each of their steps: `StepRollouts(n=4, m=8)`.

    N and W of a node count the solutions through it. Its mc counts are its own m completions.
    """

    uses: Literal["step_rollouts"] = "step_rollouts"
    n: int = Field(4, ge=1)
    m: int = Field(8, ge=1)
    """Completions from every step that does not end a solution."""

    def counts(self, *, gold: bool) -> frozenset[Held]:
        """Visits of whole solutions, and completions of their steps."""
        return frozenset({"visits", "rollouts"})

    @property
    def needs_gold(self) -> bool:
        """True: completions are graded."""
        return True

    def width(self) -> int:
        """The solutions; then the completions of at least one step."""
        return max(self.n, self.m)

    def draws(self) -> int:
        """n solutions, and m completions from each of their steps, assuming `max_depth` steps per solution."""
        return self.n * (1 + self.m * (self.max_depth - 1))

    async def grow(self, tree: SearchTree) -> None:
        """First the solutions, then their steps, one solution after the other while tokens are left."""
        await self.solutions(tree, self.n - self.probe)
        tree.stopped = "answered"
        for end in [node for node in tree.nodes if node.terminal and node.source == "policy"]:
            if self.over(tree):
                tree.stopped = "budget"
                break
            await tree.complete(end.path(), self.m, self.expand)
