"""`state_accuracy`: how often the next state of a procedure is right, and what that alone would make of whole ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from data_gen.grading.lists import prefix_length, read_list
from data_gen.measures import MEASURES
from data_gen.measures.base import Direction, Measure, MeasuredTask
from data_gen.records.problem import Problem
from data_gen.records.solution import Solution

COLUMNS = ("states_right", "states_tried", "states")
"""States that agree from the front; those and the first that does not; all states of gold."""


@MEASURES.register("state_accuracy")
class StateAccuracy(Measure):
    """`measures: [{uses: state_accuracy, fields: [intermediate], last: final}]`, beside `prefix_match` with the same
    fields. In a table, `state_accuracy` is p, the share of states that are right after right ones, and `independent`
    the mean of p^n over problems of n states: the `sequential_match` of a policy whose every state succeeds alike."""

    version: ClassVar[int] = 2
    reads_gold: ClassVar[bool] = True
    uses: Literal["state_accuracy"] = "state_accuracy"
    fields: tuple[str, ...] = ()
    """If gold and answers are objects, the list is their values under these names."""
    last: str | None = None
    """Under this name an object has its last element, which is one element even if it is a list itself."""
    separator: str = Field(",", min_length=1)
    """Separator of the elements of a list in plain text."""

    def directions(self) -> Mapping[str, Direction]:
        """Three counts."""
        return dict.fromkeys(COLUMNS, Direction.HIGHER)

    def shares(self) -> frozenset[str]:
        """Both ratios."""
        return frozenset(self.ratios())

    def ratios(self) -> Mapping[str, tuple[str, ...]]:
        """p, and the mean of p^n."""
        return {"state_accuracy": COLUMNS[:2], "independent": COLUMNS}

    def of(self, task: MeasuredTask, problem: Problem, solution: Solution) -> dict[str, float]:
        """No columns if gold is not a list. An answer that is none fails at the first state."""
        gold = read_list(problem.gold or "", self.fields, self.separator, self.last)
        if not gold:
            return {}
        said = read_list(solution.answer or "", self.fields, self.separator, self.last)
        right = prefix_length(gold, said or [])
        return dict(zip(COLUMNS, map(float, (right, min(right + 1, len(gold)), len(gold))), strict=True))
