"""Interface of claim forms. A form makes statements: weighted sums of rows, each compared with a margin."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from data_gen.registry import Piece, Registry


@dataclass(frozen=True, slots=True)
class Statement:
    """The sum of weighted rows exceeds the margin: `Statement("tuned - base", {"tuned": 1, "base": -1})`.

    If lower values of the metric are better, the sum with its sign reversed exceeds the margin.
    """

    name: str
    weights: Mapping[str, float]
    """Row -> weight. The weights sum to 0, so that what all rows share cancels out."""
    margin: float = 0.0
    """Margin in units of the metric: 0.02 is two points of an accuracy."""
    claimed: bool = True
    """False: shown with the others, but without a verdict."""


class ClaimForm(Piece, ABC):
    """Determines which comparisons a claim makes. All claimed comparisons must hold."""

    @abstractmethod
    def named(self) -> Iterator[tuple[str, str]]:
        """(field, row) of every row that the form names, in order."""

    @abstractmethod
    def statements(self) -> list[Statement]:
        """The comparisons, in display order."""


def difference_of(better: str, than: str, margin: float = 0.0, *, claimed: bool = True) -> Statement:
    """The statement that one row exceeds another."""
    return Statement(f"{better} - {than}", {better: 1.0, than: -1.0}, margin, claimed)


def check_distinct(**rows: str | None) -> None:
    """ValueError if a row would be compared with itself: the difference is 0 on every problem and says nothing."""
    fields: dict[str, str] = {}
    for field, row in rows.items():
        if row is not None and (first := fields.setdefault(row, field)) != field:
            raise ValueError(f"{field}: {row!r} is also `{first}`; a row cannot be compared with itself, name another")


CLAIM_FORMS: Registry[type[ClaimForm]] = Registry(
    "form of a claim", package="reasoning_train.evaluation.claims", group="reasoning_train.claims"
)
"""Name -> form."""
