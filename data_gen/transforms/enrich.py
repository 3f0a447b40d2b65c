"""`enrich`: a plan before the steps (Enriched Instruction Tuning, arXiv 2412.16964: a plan, then its steps).
This is the part without a model: the plan names the operations that the steps use."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal

from data_gen.equations import equations
from data_gen.records.problem import Problem
from data_gen.records.segment import Kind, Segment
from data_gen.records.solution import Solution
from data_gen.transforms import TRANSFORMS
from data_gen.transforms.base import Transform, retold

_SIGNS = frozenset("+-−*/×÷")


@TRANSFORMS.register("enrich")
class Enrich(Transform):
    """`{uses: enrich, mark: "Plan: "}`: for `12 + 5 = 17`, `17 - 3 = 14` the segment `Plan: + -` before the first step.
    A row without equations is left out."""

    uses: Literal["enrich"] = "enrich"
    mark: str = "Plan: "
    """Begins the plan, as `format.marks.plan.prefix` of the task says."""
    delimiter: str = "\n"
    """Ends the plan."""

    def __call__(self, problem: Problem, rows: Sequence[Solution], rng: random.Random) -> list[Solution]:
        """At most one row a row."""
        return [made for row in rows if (made := self._planned(row)) is not None]

    def _planned(self, row: Solution) -> Solution | None:
        steps = [i for i, segment in enumerate(row.segments) if segment.kind is Kind.STEP]
        found = (one for i in steps for one in equations(row.segments[i].text))
        signs = [token for one in found for token in one.left if token in _SIGNS]
        if not signs:
            return None
        plan = Segment(kind=Kind.PLAN, text=self.mark + " ".join(signs) + self.delimiter)
        return retold(row, [*row.segments[: steps[0]], plan, *row.segments[steps[0] :]])
