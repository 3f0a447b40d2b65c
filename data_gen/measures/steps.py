"""`steps`: how many steps a solution has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from data_gen.measures import MEASURES
from data_gen.measures.base import Direction, Measure, MeasuredTask
from data_gen.records.problem import Problem
from data_gen.records.solution import Solution


@MEASURES.register("steps")
class Steps(Measure):
    """`measures: [steps]`. Fewer steps are better, at equal accuracy."""

    version: ClassVar[int] = 1
    uses: Literal["steps"] = "steps"

    def directions(self) -> Mapping[str, Direction]:
        """One column, `steps`."""
        return {"steps": Direction.LOWER}

    def of(self, task: MeasuredTask, problem: Problem, solution: Solution) -> dict[str, float]:
        """Number of segments of kind `step`. The answer line is not one."""
        return {"steps": float(len(solution.steps))}
