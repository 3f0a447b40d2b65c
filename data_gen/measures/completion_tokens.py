"""`completion_tokens`: how long a solution is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from data_gen.measures import MEASURES
from data_gen.measures.base import Direction, Measure, MeasuredTask
from data_gen.records.problem import Problem
from data_gen.records.solution import Solution


@MEASURES.register("completion_tokens")
class CompletionTokens(Measure):
    """`measures: [completion_tokens]`: tokens that the policy wrote. The column `tokens` of a table is a strategy's
    whole cost."""

    version: ClassVar[int] = 1
    uses: Literal["completion_tokens"] = "completion_tokens"

    def directions(self) -> Mapping[str, Direction]:
        """One column, `completion_tokens`."""
        return {"completion_tokens": Direction.LOWER}

    def of(self, task: MeasuredTask, problem: Problem, solution: Solution) -> dict[str, float]:
        """The stop token counts, a tool's output does not."""
        return {"completion_tokens": float(sum(len(s.token_ids) for s in solution.segments if s.kind.own))}
