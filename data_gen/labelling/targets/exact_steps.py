"""Noise-free labels from the task's step checker, in place of human labels (PRM800K: Lightman et al., arXiv
2305.20050)."""

from __future__ import annotations

from typing import Literal

from data_gen.labelling.reach import View
from data_gen.labelling.targets.base import TARGET_RULES, Target, TargetRule
from data_gen.records.scales import Scale, convert
from data_gen.records.trees import Held, TreeNode


@TARGET_RULES.register("exact_steps")
class StepTargets(TargetRule):
    """1 while every step is right and, once the solution is finished, the answer too; else 0. It needs trees grown with
    `gold: true` over a task that can check steps (as chain does).

    Steps of the search are labelled, rollouts are not: it is unknown where a wrong rollout went wrong.
    """

    uses: Literal["exact_steps"] = "exact_steps"
    scale: Literal[Scale.P, Scale.SIGNED] = Scale.P
    root: Literal[False] = False

    @property
    def reads(self) -> frozenset[Held]:
        """Verdicts of the step checker."""
        return frozenset({"checked_steps"})

    def known(self, view: View) -> dict[int, Target]:
        """Every step of the search that was checked."""
        return {
            node.node: self._target(node)
            for node in view.tree.nodes
            if node.source == "policy" and node.steps_ok is not None
        }

    def _target(self, node: TreeNode) -> Target:
        right = bool(node.steps_ok) and not (node.terminal and node.outcome == 0.0)
        return Target(convert(float(right), Scale.P, self.scale), right, 1)
