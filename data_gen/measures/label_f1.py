"""`label_f1`: precision, recall and F1 of one label, which no mean over rows gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from data_gen.measures import MEASURES
from data_gen.measures.base import Direction, Measure, MeasuredTask
from data_gen.records.problem import Problem
from data_gen.records.solution import Solution
from data_gen.records.verdict import Answer, Verdict

COLUMNS = ("label_hits", "label_said", "label_gold", "label_either")
"""Whether an answer says the label where gold does; says it; whether gold does; the sum of the last two, halved."""


@MEASURES.register("label_f1")
class LabelF1(Measure):
    """`measures: [{uses: label_f1, label: Correct}]`, for graders of labels: `precision`, `recall` and `f1` of one
    label in a table and in each of its groups, from counts of a row. A table or group without the label has none."""

    version: ClassVar[int] = 2
    reads_gold: ClassVar[bool] = True
    uses: Literal["label_f1"] = "label_f1"
    label: str = Field("yes", min_length=1)

    def directions(self) -> Mapping[str, Direction]:
        """The four counts. The shares of `ratios` are made of their sums."""
        return dict.fromkeys(COLUMNS, Direction.HIGHER)

    def shares(self) -> frozenset[str]:
        """All counts of a row lie between 0 and 1, and so do the ratios of their sums."""
        return frozenset((*COLUMNS, *self.ratios()))

    def ratios(self) -> Mapping[str, tuple[str, ...]]:
        """F1 is twice the hits over what is said and what is gold."""
        hits, said, gold, either = COLUMNS
        return {"precision": (hits, said), "recall": (hits, gold), "f1": (hits, either)}

    def of(self, task: MeasuredTask, problem: Problem, solution: Solution) -> dict[str, float]:
        """No columns if gold cannot be read."""
        wanted = task.grade(problem, Answer(self.label)).verdict
        if wanted is Verdict.UNVERIFIABLE:
            return {}
        gold = float(wanted is Verdict.CORRECT)
        said = float(solution.answer is not None and task.same(problem, self.label, solution.answer))
        return dict(zip(COLUMNS, (gold * said, said, gold, (gold + said) / 2), strict=True))
