"""`within`: an arm is no worse than another by more than a margin (non-inferiority)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from reasoning_train.evaluation.claims.base import CLAIM_FORMS, ClaimForm, Statement, check_distinct, difference_of


@CLAIM_FORMS.register("within")
class Within(ClaimForm):
    """An arm is no worse than another by more than a margin (non-inferiority).

    `{uses: within, arm: short, of: long, margin: 0.02}`: `short` is less than two points worse than `long`. The claim
    is supported if the interval of arm - of is above -margin, and contradicted if it is below. A better arm is also
    within.
    """

    uses: Literal["within"] = "within"
    arm: str
    of: str
    margin: float = Field(gt=0)
    """Allowed loss in units of the metric: 0.02 is two points of an accuracy."""

    @model_validator(mode="after")
    def _compares(self) -> Within:
        check_distinct(arm=self.arm, of=self.of)
        return self

    def named(self) -> Iterator[tuple[str, str]]:
        yield "arm", self.arm
        yield "of", self.of

    def statements(self) -> list[Statement]:
        return [difference_of(self.arm, self.of, -self.margin)]
