"""`trend`: a metric rises along an ordered list of arms."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from reasoning_train.evaluation.claims.base import CLAIM_FORMS, ClaimForm, Statement, difference_of


@CLAIM_FORMS.register("trend")
class Trend(ClaimForm):
    """A metric rises along an ordered list of arms.

    `{uses: trend, arms: [a0, a2, a4]}`: the least-squares slope of a straight line through the arms is above 0. The
    slope is a linear contrast of the arms, so its interval is computed as for any other comparison. A trend does not
    mean that every step rises; the differences of neighbours are shown with it.
    """

    uses: Literal["trend"] = "trend"
    arms: list[str] = Field(min_length=3)
    """Rows, in the order in which the metric rises (or falls, where lower is better)."""
    at: list[float] = []
    """Positions of the arms, one rising number per arm: `[1, 2, 4]`. By default they are one apart."""
    margin: float = 0.0
    """Value that the slope must exceed, in units of the metric per unit of `at`."""

    @model_validator(mode="after")
    def _ordered(self) -> Trend:
        if len(set(self.arms)) < len(self.arms):
            raise ValueError(f"arms: every row may be named once, got {self.arms}")
        if self.at and (len(self.at) != len(self.arms) or any(a >= b for a, b in itertools.pairwise(self.at))):
            raise ValueError(f"at: expected {len(self.arms)} rising numbers, one for each of the arms, got {self.at}")
        return self

    def named(self) -> Iterator[tuple[str, str]]:
        for row in self.arms:
            yield "arms", row

    def statements(self) -> list[Statement]:
        slope = Statement(f"slope of {', '.join(self.arms)}", self.weights(), self.margin)
        return [slope, *(difference_of(b, a, claimed=False) for a, b in itertools.pairwise(self.arms))]

    def weights(self) -> dict[str, float]:
        """Row -> (x - mean x) / sum (x - mean x)^2, whose weighted sum of means is the slope of least squares.

        >>> Trend(arms=["a", "b", "c"]).weights()
        {'a': -0.5, 'b': 0.0, 'c': 0.5}
        """
        places = self.at or [float(i) for i in range(len(self.arms))]
        centre = sum(places) / len(places)
        spread = sum((x - centre) ** 2 for x in places)
        return {row: (x - centre) / spread for row, x in zip(self.arms, places, strict=True)}
