"""The progress of a step towards an answer (ReST-MCTS*, arXiv 2406.03816). It is not a probability and is used for
search in the same method."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from data_gen.labelling.reach import View
from data_gen.labelling.targets.base import TARGET_RULES, Target, TargetRule
from data_gen.records.scales import Scale


@TARGET_RULES.register("progress")
class Progress(TargetRule):
    """V(child) = max(0, V(parent) + (1 - V(parent)) * r / (m + 1)), V(root) = 0 (equations 1 and 2).

    r is 1 if a right answer can still be reached below the child and -1 if not. m is the fewest steps from the child to
    a right answer, 0 at the answer itself. A child that leads to no right answer takes the m of the nearest node above
    it that does. So a right answer has exactly 1, and nothing else has. On root -> a (right) and root -> b -> c -> d
    (right), b, c and d have 1/3, 2/3 and 1.

    What differs from the released code: a tree without a right answer gives zeros (there it gives no rows).
    """

    version: ClassVar[int] = 2
    uses: Literal["progress"] = "progress"
    scale: Literal[Scale.PROGRESS] = Scale.PROGRESS

    def known(self, view: View) -> dict[int, Target]:
        """Every step with a verified end below."""
        ahead = _to_right(view)
        values = {0: 0.0}
        for node in view.tree.nodes[1:]:  # parents come before their children
            if node.parent not in values or not view.reach[node.node].total:
                continue
            r = 1 if view.reach[node.node].right else -1
            if r == -1:
                ahead[node.node] = ahead[node.parent]
            above = values[node.parent]
            values[node.node] = max(0.0, above + (1 - above) * r / (ahead[node.node] + 1))
        reach = view.reach
        return {number: Target(value, reach[number].right > 0, reach[number].total) for number, value in values.items()}


def _to_right(view: View) -> list[float]:
    """Fewest steps from each node to a right answer at or below it. Infinity if there is none."""
    steps = [math.inf] * len(view.tree.nodes)
    for node in reversed(view.tree.nodes):
        if node.terminal and node.outcome == 1.0:
            steps[node.node] = 0.0
        for child in view.below[node.node]:
            steps[node.node] = min(steps[node.node], steps[child.node] + 1)
    return steps
