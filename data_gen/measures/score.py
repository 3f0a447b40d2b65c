"""`score`: what the task's grader gives for parts of an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from data_gen.measures import MEASURES
from data_gen.measures.base import Direction, Measure, MeasuredTask
from data_gen.records.problem import Problem
from data_gen.records.solution import Solution


@MEASURES.register("score")
class RawScore(Measure):
    """`measures: [score]`: the raw score of an answer, such as the reward of a reasoning-gym scorer or the share of a
    list that agrees. Accuracy counts full scores alone; scorers give some of their partial ones to wrong answers."""

    version: ClassVar[int] = 1
    reads_gold: ClassVar[bool] = True
    uses: Literal["score"] = "score"

    def directions(self) -> Mapping[str, Direction]:
        """One column, `score`."""
        return {"score": Direction.HIGHER}

    def shares(self) -> frozenset[str]:
        """Scores lie between 0 and 1."""
        return frozenset({"score"})

    def of(self, task: MeasuredTask, problem: Problem, solution: Solution) -> dict[str, float]:
        """No column for a solution that cannot be verified."""
        return {} if solution.score is None else {"score": solution.score}
