"""`stage`: what a policy learns first in a curriculum (LlamaV-o1, arXiv 2501.06186: summary and caption before whole
answers)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal

from pydantic import Field, model_validator

from data_gen.records.problem import Problem
from data_gen.records.segment import Kind
from data_gen.records.solution import Solution
from data_gen.transforms import TRANSFORMS
from data_gen.transforms.base import Transform, retold


@TRANSFORMS.register("stage")
class CurriculumStage(Transform):
    """`{uses: stage, upto: [plan]}`: solutions as far as their last plan, to train on before whole ones. `{uses: stage,
    most: 2}`: solutions of at most two steps. A row that has no such part, or more or fewer steps, is left out.

    A row keeps the verdict of the whole solution.
    """

    uses: Literal["stage"] = "stage"
    rereads = False
    upto: tuple[Kind, ...] = ()
    least: int = Field(0, ge=0)
    """Fewest steps of the whole solution."""
    most: int | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _chooses(self) -> CurriculumStage:
        if not (self.upto or self.least or self.most is not None):
            raise ValueError("upto, least, most: all are missing; give one")
        if self.most is not None and self.most < self.least:
            raise ValueError(f"least, most: expected least <= most, got {self.least} and {self.most}")
        return self

    def __call__(self, problem: Problem, rows: Sequence[Solution], rng: random.Random) -> list[Solution]:
        """At most one row a row."""
        return [made for row in rows if (made := self._begun(row)) is not None]

    def _begun(self, row: Solution) -> Solution | None:
        if len(row.steps) < self.least or (self.most is not None and len(row.steps) > self.most):
            return None
        if not self.upto:
            return row
        last = max((i for i, segment in enumerate(row.segments) if segment.kind in self.upto), default=-1)
        return retold(row, row.segments[: last + 1]) if last >= 0 else None
