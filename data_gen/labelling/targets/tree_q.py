"""The search's own estimate: Q of the edge that leads to a step, and the outcome at a verified end (AlphaMath, arXiv
2405.03553)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from data_gen.labelling.reach import View
from data_gen.labelling.targets.base import TARGET_RULES, Target, TargetRule
from data_gen.records.scales import Scale, convert
from data_gen.records.trees import Held, TreeNode


@TARGET_RULES.register("q")
class TreeQ(TargetRule):
    """Mean of what was backed up through a step. Trees whose scale does not convert into P(correct) are refused."""

    uses: Literal["q"] = "q"
    scale: Literal[Scale.P, Scale.SIGNED] = Scale.SIGNED
    min_n: int = Field(1, ge=1)
    """Steps with fewer visits get no target."""

    @property
    def reads(self) -> frozenset[Held]:
        """Q."""
        return frozenset({"visits"})

    def known(self, view: View) -> dict[int, Target]:
        """Visited steps and verified ends."""
        given = Scale(view.tree.scale)
        targets = ((node.node, self._target(node, given)) for node in view.tree.nodes)
        return {number: target for number, target in targets if target is not None}

    def _target(self, node: TreeNode, given: Scale) -> Target | None:
        if node.terminal:
            if node.outcome is None:
                return None
            return Target(convert(node.outcome, Scale.P, self.scale), node.outcome == 1.0, max(1, node.visits))
        if node.visits < self.min_n:
            return None
        value = convert(node.total / node.visits, given, self.scale)
        return Target(value, convert(value, self.scale, Scale.P) > 0.5, node.visits)
