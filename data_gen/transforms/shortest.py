"""`shortest`: the shortest solutions of a problem, to train for less reasoning with the same answers (Searchformer's
bootstrapping, arXiv 2402.14083)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from data_gen.records.problem import Problem
from data_gen.records.solution import Solution
from data_gen.transforms import TRANSFORMS
from data_gen.transforms.base import Transform


@TRANSFORMS.register("shortest")
class Shortest(Transform):
    """`{uses: shortest, n: 2}`: the n rows of a problem with the fewest tokens (characters if no tokenizer has encoded
    the text), in their order. Among equally long rows the first are kept."""

    uses: Literal["shortest"] = "shortest"
    n: int = Field(1, ge=1)

    def __call__(self, problem: Problem, rows: Sequence[Solution], rng: random.Random) -> list[Solution]:
        """At most n rows."""
        ranked = sorted(range(len(rows)), key=lambda i: len(rows[i].token_ids) or len(rows[i].text))
        return [rows[i] for i in sorted(ranked[: self.n])]
