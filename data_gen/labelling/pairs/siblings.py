"""What the rules share that compare the children of one node."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from data_gen.labelling.pairs.base import PairRule, Side, takes_sides
from data_gen.labelling.reach import View
from data_gen.records.scales import Scale, convert
from data_gen.records.trees import Held, TreeNode

Value = Literal["q", "mc", "reach", "scorer"]
"""How a step is scored: the search's Q; the share of rollouts from it that ended right; the same share over all ends
below it; the scorer's value."""


_READS: dict[Value, frozenset[Held]] = {
    "q": frozenset({"visits"}),
    "mc": frozenset({"rollouts"}),
    "reach": frozenset(),
    "scorer": frozenset({"values"}),
}


class SiblingRule(PairRule):
    """Base of rules over siblings."""

    value: Value = "q"
    min_n: float = Field(1, ge=0)
    """Fewest observations behind a score: visits, rollouts, ends."""
    chosen_right: bool = True
    """Only pairs whose better side leads to a right answer somewhere below."""

    @property
    def reads(self) -> frozenset[Held]:
        """What the score is read from."""
        return _READS[self.value]

    def sides(self, view: View, parent: TreeNode) -> list[Side]:
        """The search's steps below `parent` that can be sides, best first; ties go to the oldest. Steps without a known
        score and steps with only unverifiable ends below cannot be sides."""
        worths = ((node, self.worth(view, node)) for node in view.steps(parent) if takes_sides(view, node))
        found = [Side(node, worth) for node, worth in worths if worth is not None]
        return sorted(found, key=lambda side: (-side.score, side.node.node))

    def may_win(self, view: View, side: Side) -> bool:
        """Whether this side may be the better one."""
        return not self.chosen_right or view.reach[side.node.node].right > 0

    def worth(self, view: View, node: TreeNode) -> float | None:
        """A step's score on the rule's scale. None if there are too few observations. UserError if the scales do not
        convert."""
        below, given = view.reach[node.node], Scale(view.tree.scale)
        worth, source, n = None, Scale.P, 0.0
        match self.value:
            case "q" if node.visits:
                worth, source, n = node.q, given, node.visits
            case "scorer" if node.value is not None:
                worth, source, n = node.value, given, 1
            case "reach" if below.total:
                worth, n = below.rate, below.total
            case "mc" if node.terminal and node.outcome is not None:
                worth, n = node.outcome, self.min_n  # an answer needs no rollouts
            case "mc" if node.mc_total:
                worth, n = node.mc_correct / node.mc_total, node.mc_total
        return None if worth is None or n < self.min_n else convert(worth, source, self.scale)
