"""`contrast`: a weighted sum of arms, such as a difference of differences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, field_validator

from reasoning_train.evaluation.claims.base import CLAIM_FORMS, ClaimForm, Statement


@CLAIM_FORMS.register("contrast")
class Contrast(ClaimForm):
    """A weighted sum of arms exceeds 0, such as a difference of differences.

    `{uses: contrast, weights: {pf_hi: 1, beam_hi: -1, pf_lo: -1, beam_lo: 1}}`: particles gain more over beams at high
    noise than at low noise.
    """

    uses: Literal["contrast"] = "contrast"
    weights: dict[str, float] = Field(min_length=2)
    """Row -> weight. They sum to 0."""
    margin: float = 0.0
    """Value that the sum must exceed, in units of the metric."""

    @field_validator("weights")
    @classmethod
    def _compares(cls, weights: dict[str, float]) -> dict[str, float]:
        if abs(sum(weights.values())) > 1e-9 or not all(weights.values()):
            raise ValueError(
                f"weights must differ from 0 and sum to 0, got {weights} with sum {sum(weights.values()):g}; "
                "otherwise what all rows have in common would count"
            )
        return weights

    def named(self) -> Iterator[tuple[str, str]]:
        for row in self.weights:
            yield "weights", row

    def statements(self) -> list[Statement]:
        return [Statement(_written(self.weights), dict(self.weights), self.margin)]


def _written(weights: dict[str, float]) -> str:
    """`pf_hi - beam_hi - pf_lo + beam_lo`. Weights other than 1 are written before their row."""
    terms = [
        f"{'-' if weight < 0 else '+'} {'' if abs(weight) == 1 else f'{abs(weight):g} '}{row}"
        for row, weight in weights.items()
    ]
    return " ".join(terms).removeprefix("+ ")
