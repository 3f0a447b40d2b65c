"""`step_accuracy`: how many steps are right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from data_gen.measures import MEASURES
from data_gen.measures.base import Direction, Measure, MeasuredTask
from data_gen.records.problem import Problem
from data_gen.records.solution import Solution


@MEASURES.register("step_accuracy")
class StepAccuracy(Measure):
    """`measures: [step_accuracy]`, for tasks with an exact step checker: the share of steps that are right, and whether
    all are. Missing steps count as wrong if the task says so."""

    version: ClassVar[int] = 1
    reads_gold: ClassVar[bool] = True
    uses: Literal["step_accuracy"] = "step_accuracy"

    def directions(self) -> Mapping[str, Direction]:
        """`step_accuracy` and `exact_trace`."""
        return {"step_accuracy": Direction.HIGHER, "exact_trace": Direction.HIGHER}

    def shares(self) -> frozenset[str]:
        """Both columns."""
        return frozenset({"step_accuracy", "exact_trace"})

    def of(self, task: MeasuredTask, problem: Problem, solution: Solution) -> dict[str, float]:
        """No columns if the task has no step checker."""
        checked = task.check_steps(problem, solution.steps)
        if checked is None:
            return {}
        share = sum(checked) / len(checked) if checked else 0.0
        return {"step_accuracy": share, "exact_trace": float(bool(checked) and all(checked))}
