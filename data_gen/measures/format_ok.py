"""`format_ok`: whether a solution keeps to the requested form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from data_gen.measures import MEASURES
from data_gen.measures.base import Direction, Measure, MeasuredTask
from data_gen.records.problem import Problem
from data_gen.records.segment import said
from data_gen.records.solution import Solution


@MEASURES.register("format_ok")
class FormatOk(Measure):
    """`measures: [format_ok]`: 1 if the solution ended by itself and the first extractor of the Format, which is the
    requested form, finds an answer. 0 if it was cut or only a fallback finds one."""

    version: ClassVar[int] = 1
    uses: Literal["format_ok"] = "format_ok"

    def directions(self) -> Mapping[str, Direction]:
        """One column, `format_ok`."""
        return {"format_ok": Direction.HIGHER}

    def shares(self) -> frozenset[str]:
        """The column is 0 or 1."""
        return frozenset({"format_ok"})

    def of(self, task: MeasuredTask, problem: Problem, solution: Solution) -> dict[str, float]:
        """It does not depend on the verdict."""
        found = task.format.extract[0].find(said(solution.segments), task.format.answer_mark)
        return {"format_ok": float(solution.finish != "length" and found is not None)}
