"""`keep_last`: only the last steps before the answer, as in training that takes steps away from the front (implicit
chain of thought, arXiv 2405.14838)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from data_gen.records.problem import Problem
from data_gen.records.segment import Kind
from data_gen.records.solution import Solution
from data_gen.transforms import TRANSFORMS
from data_gen.transforms.base import Transform, retold


@TRANSFORMS.register("keep_last")
class KeepLast(Transform):
    """`{uses: keep_last, n: 1}`: the last n steps of every row. Segments that are not steps stay. `{uses: render, form:
    answer}` keeps the answer alone."""

    version: ClassVar[int] = 2
    uses: Literal["keep_last"] = "keep_last"
    n: int = Field(1, ge=1)

    def __call__(self, problem: Problem, rows: Sequence[Solution], rng: random.Random) -> list[Solution]:
        """One row for each row."""
        return [self._shortened(row) for row in rows]

    def _shortened(self, row: Solution) -> Solution:
        steps = [i for i, segment in enumerate(row.segments) if segment.kind is Kind.STEP]
        dropped = set(steps[: max(0, len(steps) - self.n)])
        return retold(row, [segment for i, segment in enumerate(row.segments) if i not in dropped])
