"""The progress of a step towards an answer (ReST-MCTS*, arXiv 2406.03816). It is not a probability and is used for
search in the same method."""

from __future__ import annotations

import math
from typing import Literal

from data_gen.labelling.reach import View
from data_gen.labelling.targets.base import TARGET_RULES, Target, TargetRule
from data_gen.records.scales import Scale


@TARGET_RULES.register("progress")
class Progress(TargetRule):
    """V(child) = max(0, V(parent) + (1 - V(parent)) * r / m), V(root) = 0.

    r is 1 if a right answer can still be reached below the child and -1 if not. m is the fewest steps from the parent
    to a right answer, or to any end if no right one is left. A right answer at the end of a shortest path has exactly
    1.
    """

    uses: Literal["progress"] = "progress"
    scale: Literal[Scale.PROGRESS] = Scale.PROGRESS

    def known(self, view: View) -> dict[int, Target]:
        """Every step with a verified end below."""
        to_right, to_end = _distances(view, right=True), _distances(view, right=False)
        values = {0: 0.0}
        for node in view.tree.nodes[1:]:
            if node.parent not in values or not view.reach[node.node].total:
                continue
            above, steps = values[node.parent], to_right[node.parent]
            m = steps if steps < math.inf else to_end[node.parent]
            r = 1 if view.reach[node.node].right else -1
            values[node.node] = max(0.0, above + (1 - above) * r / m)
        reach = view.reach
        return {number: Target(value, reach[number].right > 0, reach[number].total) for number, value in values.items()}


def _distances(view: View, *, right: bool) -> list[float]:
    """Fewest steps from each node to an end below it: to a right end, or to any verified end."""
    steps = [math.inf] * len(view.tree.nodes)
    for node in reversed(view.tree.nodes):
        if node.terminal and (node.outcome == 1.0 or (not right and node.outcome is not None)):
            steps[node.node] = 0.0
        for child in view.below[node.node]:
            steps[node.node] = min(steps[node.node], steps[child.node] + 1)
    return steps
