"""What every form of a claim is: weighted sums of rows, each held against a margin."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from data_gen.registry import Piece, Registry


@dataclass(frozen=True, slots=True)
class Statement:
    """The sum of weighted rows exceeds the margin: `Statement("tuned - base", {"tuned": 1, "base": -1})`.

    Of a metric whose lower values are better, the sum with its sign turned exceeds the margin.
    """

    name: str
    weights: Mapping[str, float]
    """Row -> weight, summing to 0, so that what all rows share cancels out."""
    margin: float = 0.0
    """In units of the metric: 0.02 of an accuracy is two points."""
    claimed: bool = True
    """False: shown beside the others, without a verdict."""


class ClaimForm(Piece, ABC):
    """Which comparisons a claim makes. All that are claimed must hold."""

    @abstractmethod
    def named(self) -> Iterator[tuple[str, str]]:
        """(field, row) of every row that the form names, in order."""

    @abstractmethod
    def statements(self) -> list[Statement]:
        """The comparisons, in the order in which they are shown."""


def difference_of(better: str, than: str, margin: float = 0.0, *, claimed: bool = True) -> Statement:
    """The statement that one row exceeds another."""
    return Statement(f"{better} - {than}", {better: 1.0, than: -1.0}, margin, claimed)


CLAIM_FORMS: Registry[type[ClaimForm]] = Registry(
    "form of a claim", package="reasoning_train.evaluation.claims", group="reasoning_train.claims"
)
"""Name -> form."""
