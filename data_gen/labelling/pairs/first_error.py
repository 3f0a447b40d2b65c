"""The first wrong step of a wrong solution against a corrected one (Step-DPO, arXiv 2406.18629)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from data_gen.errors import UserError
from data_gen.labelling.pairs.base import PAIR_RULES, PairRule, Side, takes_sides
from data_gen.labelling.reach import View, ends
from data_gen.records.labels import StepPair
from data_gen.records.scales import Scale, convert
from data_gen.records.trees import Held, TreeNode

Judge = Literal["oracle", "mc", "scorer"]
_READS: dict[Judge, frozenset[Held]] = {
    "oracle": frozenset({"checked_steps"}),
    "mc": frozenset({"rollouts"}),
    "scorer": frozenset({"values"}),
}


@PAIR_RULES.register("first_error")
class FirstErrorPairs(PairRule):
    """The rejected side is the first wrong step of a wrong solution. The chosen side is a sibling that the judge passes
    and that leads to a right answer.

    The paper's released script does not check whether the chosen step itself is right; the paper and this rule do.
    Search `first_error` draws solutions, finds their errors and redraws the steps. Any other tree with siblings at the
    error also works.
    """

    uses: Literal["first_error"] = "first_error"
    judge: Judge = "oracle"
    """`oracle`: the task's exact step checker. `mc`: the first step from which no rollout ends right. `scorer`: the
    first step to which the tree's scorer, e.g. an LM judge, gives less than an even chance."""
    min_n: float = Field(4, ge=1)
    """For `mc`: number of rollouts without a right end that make a step wrong."""
    per_error: int = Field(1, ge=1)
    """Corrected steps per error, drawn at random."""

    @property
    def reads(self) -> frozenset[Held]:
        """What its judge reads."""
        return _READS[self.judge]

    def pairs(self, view: View, rng: random.Random) -> Iterator[StepPair]:
        """Pairs in the order of the solutions. Solutions with the same error count once."""
        wrong = [end for end in ends(view.tree) if end.outcome == 0.0 and end.terminal != "limit"]
        errors = dict.fromkeys(error.node for end in wrong if (error := self._first_error(view, end)) is not None)
        for error in (view.tree.nodes[number] for number in errors):
            siblings = view.below[error.parent]
            fixes = [
                node
                for node in siblings
                if view.reach[node.node].right and takes_sides(view, node) and self._verdict(view, node)
            ]
            for fix in rng.sample(fixes, min(self.per_error, len(fixes))) if takes_sides(view, error) else []:
                yield self.join(view, self._side(view, fix), self._side(view, error))

    def _first_error(self, view: View, end: TreeNode) -> TreeNode | None:
        """The first step on the way to `end` that the judge rejects. None if it may not be the first wrong one."""
        if self.judge == "oracle" and end.steps_ok is None:
            raise UserError(
                "pairs.judge: 'oracle' needs a task with an exact step checker, but the task of "
                f"{view.tree.problem_id!r} has none. Use `judge: mc` on trees with rollouts from every step, or "
                "`judge: scorer`."
            )
        for node in view.tree.path(end):
            verdict = self._verdict(view, node)
            if verdict is not True:
                return node if verdict is False else None
        return None

    def _verdict(self, view: View, node: TreeNode) -> bool | None:
        """Whether no step up to here is wrong. None if the judge gave no verdict."""
        match self.judge:
            case "oracle":  # the checker checks steps, the outcome is about the answer line
                return False if node.terminal and node.outcome == 0.0 else node.steps_ok
            case "mc":
                if node.terminal:
                    return node.outcome == 1.0
                return None if node.mc_total < self.min_n and not node.mc_correct else node.mc_correct > 0
        return None if node.value is None else convert(node.value, Scale(view.tree.scale), Scale.P) >= 0.5

    def _side(self, view: View, node: TreeNode) -> Side:
        """The judge's verdict as a score: a rate for `mc`."""
        passed = float(bool(self._verdict(view, node)))
        score = (
            node.mc_correct / node.mc_total if self.judge == "mc" and node.mc_total and not node.terminal else passed
        )
        return Side(node, convert(score, Scale.P, self.scale))
