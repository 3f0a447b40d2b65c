"""Rollouts from every step of sampled solutions (Math-Shepherd, arXiv 2312.08935, section 3.3; Snell et al., arXiv 2408.03314)."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from data_gen.search.base import SEARCHES, Search
from data_gen.search.tree import SearchTree


@SEARCHES.register("step_rollouts")
class StepRollouts(Search):
    """n solutions, then m completions from each of their steps. Counts are kept; hard labels (any right) and soft ones are views of them.

    Solutions share their common steps, so that a step that several of them took is rolled out once. Whether "any of m" is right depends
    on m: a step with P(correct) = 0.1 is positive 57 % of the time at m = 8, which is why the label is never stored alone.
    """

    uses: Literal["step_rollouts"] = "step_rollouts"
    needs_scorer: ClassVar[bool] = False
    takes_solutions: ClassVar[bool] = True
    n: int = Field(8, ge=1)
    """Solutions a problem."""
    m: int = Field(8, ge=1)
    """Completions a step."""

    @property
    def needs_gold(self) -> bool:
        """Completions are judged."""
        return True

    def draws(self) -> int:
        """Solutions, and completions of each of their steps."""
        return self.n * (1 + self.m * self.max_depth)

    async def grow(self, tree: SearchTree) -> None:
        """All steps are rolled out at once."""
        ends = await tree.solve(tree.root, self.n, self.expand)
        steps = dict.fromkeys(step for end in ends for step in end.path() if not step.terminal)
        await tree.complete(list(steps), self.m, self.expand)
