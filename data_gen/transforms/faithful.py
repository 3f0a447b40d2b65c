"""`faithful`: keeps enriched solutions that say what the problem's own solution says. Enriched Instruction Tuning
(arXiv 2412.16964) compares final answers; this also compares what happens on the way."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

from data_gen.equations import NUMBER, equations, holds, is_number, number
from data_gen.records.problem import Problem
from data_gen.records.solution import Solution
from data_gen.records.verdict import Verdict
from data_gen.transforms import TRANSFORMS
from data_gen.transforms.base import Transform


@TRANSFORMS.register("faithful")
class Faithful(Transform):
    """`{uses: faithful}`: rows that are right, in which the results of the problem's worked solution stand in the same
    order, and whose equations hold. All others are left out, as are those of problems without a worked solution."""

    uses: Literal["faithful"] = "faithful"
    numbers: bool = True
    """Results of the worked solution must stand in the row, in order; its numbers where it has no equation."""
    equations: bool = True
    """Every equation of the row must hold."""

    def __call__(self, problem: Problem, rows: Sequence[Solution], rng: random.Random) -> list[Solution]:
        """The rows that pass, unchanged."""
        return [row for row in rows if self._passes(problem, row)]

    def _passes(self, problem: Problem, row: Solution) -> bool:
        if row.verdict is not Verdict.CORRECT:
            return False
        if self.numbers and not (problem.gold_steps and _in_order(_results(problem.gold_steps), row.text)):
            return False
        return not self.equations or all(map(holds, equations(row.text)))


def _results(steps: Sequence[str]) -> list[Fraction]:
    """Without signs, since `5 -3` holds no negative number."""
    results = [abs(number(one.right)) for step in steps for one in equations(step) if is_number(one.right)]
    return results or [number(found) for found in re.findall(NUMBER, " ".join(steps))]


def _in_order(wanted: Sequence[Fraction], text: str) -> bool:
    """Whether a text has these numbers in this order, with others between them."""
    found = (number(one) for one in re.findall(NUMBER, text))
    return all(any(one == each for one in found) for each in wanted)
