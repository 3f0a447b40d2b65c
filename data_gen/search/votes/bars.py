"""What rules share that compare scores with a bar."""

from __future__ import annotations

from abc import ABC
from typing import Self

from pydantic import model_validator

from data_gen.search.votes.arrays import ArrayVote
from data_gen.search.votes.base import ScoredVote, ScoreName


class BarVote(ScoredVote, ArrayVote, ABC):
    """A vote that asks of every candidate whether its score is high enough."""

    score: ScoreName = "last"
    """How a path's step values become its score: P(right), if the scorer's scale converts to it. The search's own
    weight is its share of one tree and cannot be compared with a bar."""
    bar: float
    """The least score that is accepted."""

    @property
    def has_bar(self) -> bool:
        """Always."""
        return True

    @model_validator(mode="after")
    def _scores_mean_the_same_everywhere(self) -> Self:
        if self.score == "search":
            raise ValueError(
                "score: 'search' is a path's share of its tree's votes, which a bar cannot be compared with; expected "
                "last, min, prod or mean"
            )
        return self
