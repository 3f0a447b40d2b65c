"""Sets loss weights by kind of segment, e.g. to mask thoughts or to stress answers."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from data_gen.records.problem import Problem
from data_gen.records.segment import Kind
from data_gen.records.solution import Solution
from data_gen.transforms import TRANSFORMS
from data_gen.transforms.base import Transform


@TRANSFORMS.register("reweight")
class Reweight(Transform):
    """`{uses: reweight, weights: {step: 0.1, answer: 1}}`: loss weight of each token of a segment, by kind. Kinds that
    are not named keep their weights."""

    uses: Literal["reweight"] = "reweight"
    weights: dict[Kind, Annotated[float, Field(ge=0)]] = Field(min_length=1)

    def __call__(self, problem: Problem, rows: Sequence[Solution], rng: random.Random) -> list[Solution]:
        """One row for each row. Texts and ids stay."""
        return [
            replace(row, segments=tuple(replace(s, weight=self.weights.get(s.kind, s.weight)) for s in row.segments))
            for row in rows
        ]
