"""All pairs of siblings that differ enough (Tree-PLV, EMNLP 2024)."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from data_gen.labelling.pairs.base import PAIR_RULES
from data_gen.labelling.pairs.siblings import SiblingRule, Value
from data_gen.labelling.reach import View
from data_gen.records.labels import StepPair

ROUNDING = 1e-9
"""Tolerance: 3/8 of eight rollouts reaches a margin of 0.375 despite floating-point rounding."""


@PAIR_RULES.register("margin")
class Margin(SiblingRule):
    """Every two siblings whose scores differ by at least `margin` (3 of 8 rollouts in the paper).

    With 8 rollouts a true gap of 0.375 has a standard error of about 0.25: near the margin, noise decides.
    """

    uses: Literal["margin"] = "margin"
    value: Value = "mc"
    margin: float = Field(0.375, gt=0)

    def pairs(self, view: View, rng: random.Random) -> Iterator[StepPair]:
        """Parents first. Within one parent, the best chosen side comes first."""
        for parent in view.inner():
            for better, worse in itertools.combinations(self.sides(view, parent), 2):
                if better.score - worse.score >= self.margin - ROUNDING and self.may_win(view, better):
                    yield self.join(view, better, worse)
