"""The share of rollouts from a step that ended right (Math-Shepherd, arXiv 2312.08935; soft: Snell et al., arXiv
2408.03314)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from data_gen.labelling.reach import View
from data_gen.labelling.targets.base import TARGET_RULES, Target, TargetRule
from data_gen.records.scales import Scale, convert
from data_gen.records.trees import Held, TreeNode


@TARGET_RULES.register("mc")
class MonteCarlo(TargetRule):
    """Share of right ends among rollouts drawn from the step and those from above that ran through it. An answer has
    its outcome as value.

    A hard label is right if any rollout was, so it depends on their number (a step with p = 0.1 is labelled right 57 %
    of the time with 8). The counts are therefore stored beside it.
    """

    uses: Literal["mc"] = "mc"
    scale: Literal[Scale.P, Scale.SIGNED] = Scale.P
    label: Literal["soft", "hard"] = "soft"
    min_n: float = Field(1, ge=1)
    """Steps with fewer rollouts get no target."""

    @property
    def reads(self) -> frozenset[Held]:
        """Counts of rollouts."""
        return frozenset({"rollouts"})

    def known(self, view: View) -> dict[int, Target]:
        """Steps with enough rollouts, and answers."""
        counted = ((node.node, self._counts(node)) for node in view.tree.nodes)
        return {number: self._target(*counts) for number, counts in counted if counts is not None}

    def _counts(self, node: TreeNode) -> tuple[float, float] | None:
        if node.terminal:
            return None if node.outcome is None else (node.outcome, 1.0)
        return (node.mc_correct, node.mc_total) if node.mc_total >= self.min_n else None

    def _target(self, correct: float, total: float) -> Target:
        any_right = correct > 0
        value = float(any_right) if self.label == "hard" else correct / total
        return Target(convert(value, Scale.P, self.scale), any_right, total, (correct, total))
