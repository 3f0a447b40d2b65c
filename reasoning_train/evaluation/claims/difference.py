"""`difference`: one arm is better than another, and gains more than a control does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import model_validator

from reasoning_train.evaluation.claims.base import CLAIM_FORMS, ClaimForm, Statement, check_distinct, difference_of


@CLAIM_FORMS.register("difference")
class Difference(ClaimForm):
    """One arm is better than another, and than a control.

    `{uses: difference, better: tuned, than: base, control: unfiltered}`. With a control there are two claims:
    better - than and better - control. The control's gain, control - than, is shown with them.
    """

    uses: Literal["difference"] = "difference"
    better: str
    than: str
    control: str | None = None
    """An arm that differs from `better` only in what the claim is about."""
    margin: float = 0.0
    """By how much more `better` must exceed `than`, in units of the metric: 0.02 is two points of an accuracy."""

    @model_validator(mode="after")
    def _compares(self) -> Difference:
        check_distinct(better=self.better, than=self.than, control=self.control)
        return self

    def named(self) -> Iterator[tuple[str, str]]:
        yield "better", self.better
        yield "than", self.than
        if self.control is not None:
            yield "control", self.control

    def statements(self) -> list[Statement]:
        """`better` against `than`; with a control also against it, and the control against `than`, which is not
        claimed."""
        main = difference_of(self.better, self.than, self.margin)
        if self.control is None:
            return [main]
        return [
            main,
            difference_of(self.control, self.than, claimed=False),
            difference_of(self.better, self.control, self.margin),
        ]
