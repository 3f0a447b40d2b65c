"""`top_k`: a majority of the candidates with the most of a measure (complexity voting: the solutions of the most steps,
Fu et al., arXiv 2210.00720, section 3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from data_gen.measures import MEASURES
from data_gen.measures.base import Measure
from data_gen.measures.steps import Steps
from data_gen.search.votes.arrays import ArrayVote, Decided, Roll, leading, levels
from data_gen.search.votes.base import VOTES, ScoredVote

if TYPE_CHECKING:
    import numpy as np

    AnyMeasure = Measure
else:
    AnyMeasure = MEASURES.union()


def _named(value: Any) -> Any:
    return "completion_tokens" if value == "tokens" else value


@VOTES.register("top_k")
class TopK(ScoredVote, ArrayVote):
    """`vote: {uses: top_k, k: 8}`: the answer of most of the 8 paths with the most steps.

    Where paths tie at the border, they share the seats that are left: two paths for one seat have half a vote each. If
    fewer than `k` paths have an answer, all of them vote. With `k` of the pool's size it is `majority`. The rule gains
    only if the measure goes with being right among the solutions of one problem."""

    version: ClassVar[int] = 2
    uses: Literal["top_k"] = "top_k"
    k: int | None = Field(None, ge=1)
    """Number of paths that vote. Give `k` or `part`."""
    part: float | None = Field(None, gt=0, le=1)
    """The same as a part of the paths that have an answer, rounded up: 0.5."""
    by: Literal["score"] | Annotated[AnyMeasure, BeforeValidator(_named)] = Steps()
    """A measure by name or written out, `tokens` for `completion_tokens`, or `score`: the path's score, not the measure
    of this name, which knows gold."""
    column: str = ""
    """Which column of the measure, if it has several. Empty: the first."""
    of: Literal["most", "fewest"] = "most"
    """Whether those with the most or with the fewest vote."""

    @model_validator(mode="after")
    def _one_size_and_a_column(self) -> Self:
        if (self.k is None) == (self.part is None):
            raise ValueError("give one of `k` (a number of paths) and `part` (a part of them, such as 0.5)")
        columns = [] if self.by == "score" else [*self.by.directions()]
        if self.column and self.column not in columns:
            raise ValueError(
                f"column: {self.column!r} is no column of `by`; expected one of {', '.join(columns) or 'none'}"
            )
        return self

    @property
    def confidence(self) -> Literal["share"]:
        """The winning answer's share of the seats."""
        return "share"

    def measures(self) -> tuple[Measure, ...]:
        """The measure in `by`."""
        return () if self.by == "score" else (self.by,)

    def decide(self, roll: Roll, copies: np.ndarray) -> Decided:
        """The majority of those who have a seat."""
        return leading(roll, self._seated(roll, copies))

    def _seated(self, roll: Roll, copies: np.ndarray) -> np.ndarray:
        """How many seats the copies of each ballot have: [R, B]."""
        import numpy as np

        voting = copies * (roll.classes >= 0)
        of_each = voting.sum(axis=1, keepdims=True)
        seats = np.ceil(of_each * self.part - 1e-9) if self.part is not None else float(self.k or 0)
        level = levels(self._amounts(roll) * (-1 if self.of == "most" else 1))
        members = (level[:, None] == np.arange(level.max(initial=-1) + 1)[None, :]).astype(float)
        crowd = voting @ members
        before = np.cumsum(crowd, axis=1) - crowd
        taken = np.clip(seats - before, 0.0, crowd)
        return voting * (np.divide(taken, crowd, out=np.zeros_like(crowd), where=crowd > 0) @ members.T)

    def _amounts(self, roll: Roll) -> np.ndarray:
        if self.by == "score":
            return roll.scores
        return roll.measured(self.by, self.column or next(iter(self.by.directions())))
