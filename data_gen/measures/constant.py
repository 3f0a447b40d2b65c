"""`constant`: how often one answer to every problem would be right, a baseline beside every policy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from data_gen.measures import MEASURES
from data_gen.measures.base import Direction, Measure, MeasuredTask
from data_gen.records.problem import Problem
from data_gen.records.solution import Solution
from data_gen.records.verdict import Answer


@MEASURES.register("constant")
class ConstantAnswer(Measure):
    """`measures: [{uses: constant, answer: Incorrect}]`: a column `always_Incorrect`, which is 1 where the task's
    grader takes this answer. It does not depend on the solution: an accuracy below it has learned nothing."""

    version: ClassVar[int] = 1
    reads_gold: ClassVar[bool] = True
    uses: Literal["constant"] = "constant"
    answer: str = Field("yes", min_length=1)

    def directions(self) -> Mapping[str, Direction]:
        """One column, `always_ANSWER`, in letters and digits."""
        return {"always_" + re.sub(r"\W+", "_", self.answer): Direction.HIGHER}

    def shares(self) -> frozenset[str]:
        """The column is a score."""
        return frozenset(self.directions())

    def of(self, task: MeasuredTask, problem: Problem, solution: Solution) -> dict[str, float]:
        """No column if gold cannot be read."""
        score = task.grade(problem, Answer(self.answer)).score
        return {} if score is None else dict.fromkeys(self.directions(), score)
