"""Leave out steps at random (Dualformer, arXiv 2410.09918, section 4.1, drops parts of search traces likewise)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from data_gen.records.problem import Problem
from data_gen.records.segment import Kind
from data_gen.records.solution import Solution
from data_gen.transforms import TRANSFORMS
from data_gen.transforms.base import Transform, retold


@TRANSFORMS.register("drop_steps")
class DropSteps(Transform):
    """`{uses: drop_steps, share: 0.3}`: every step is left out with this probability, independently of the others.

    Only steps are dropped, so a row may be left with its answer alone.
    """

    uses: Literal["drop_steps"] = "drop_steps"
    share: float = Field(0.5, gt=0, le=1)

    def __call__(self, problem: Problem, rows: Sequence[Solution], rng: random.Random) -> list[Solution]:
        """One row for each row."""
        return [retold(row, [s for s in row.segments if s.kind is not Kind.STEP or self._stays(rng)]) for row in rows]

    def _stays(self, rng: random.Random) -> bool:
        return rng.random() >= self.share
