"""Which limits of resampling a table shows.

A strategy whose vote takes the first accepted candidate (`Vote.accepting`) gets rows `NAME, predicted@K` beside its
own: what drawing until one is accepted, K times at most, comes to by the rates at which its verifier accepts right and
wrong ones (`resampling.py`). They are rows as any others, which claims, reports and groups read by name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from reasoning_train.evaluation.names import PREDICTED
from reasoning_train.store.table_row import TableRow

ACCEPTS_RIGHT, ACCEPTS_WRONG = "accepts_right", "accepts_wrong"
"""Columns of a row `NAME, predicted@1`: shares of a problem's right and of its wrong draws that are accepted."""


class ResamplingLimits(BaseModel):
    """Which limits of resampling a table shows: `limits: {price: [0.5, 1, 2], n: [32, 64]}`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    price: list[Annotated[float, Field(ge=0, le=1_000)]] = [1.0]
    """What a wrong answer costs, in right ones; an abstention is free. Every row of the table gets a column `worth@P`,
    P(right) - P * P(wrong), and every prediction the best number of draws at this price."""
    n: list[Annotated[int, Field(ge=1, le=100_000)]] = []
    """Numbers of draws to predict, besides 1 and those of the strategy: also beyond what the pool holds."""
    most: int = Field(1_000, ge=1, le=10_000)
    """Most draws among which the best number is looked for."""

    def rows(self, name: str, numbers: Iterable[int]) -> dict[str, int]:
        """Rows of a strategy's prediction, with the most draws of each. numbers: those of the strategy itself."""
        return {f"{name}{PREDICTED}@{n}": n for n in sorted({1, *numbers, *self.n})}

    def priced(self, row: TableRow) -> TableRow:
        """The row with a column `worth@P` for every price."""
        if row.accuracy is None:
            return row
        wrong = (1.0 if row.coverage is None else row.coverage) - row.accuracy
        return replace(row, measures={**row.measures, **{worth(p): row.accuracy - p * wrong for p in self.price}})


def worth(price: float) -> str:
    """The column of a price.

    >>> worth(0.5), worth(2.0)
    ('worth@0.5', 'worth@2')
    """
    return f"worth@{price:g}"
