"""The vote interface: a frozen config that recipes write, and one function from ballots to chances.

    @VOTES.register("majority")
    class Majority(Vote):
        uses: Literal["majority"] = "majority"

        def chances(self, cast: Sequence[Ballot[C]], class_of: ClassOf) -> list[tuple[C, float]]: ...

Every rule reads the same stored tree or pool of solutions, so a pool is drawn once. Released code differs:
search-and-learn compares normalized strings. Here the task says which answers are one, and equal scores share the vote
instead of the first one winning.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from data_gen.engines.base import stream_seed
from data_gen.registry import Piece, Registry


class Candidate(Protocol):
    """A candidate: the end of a path in a tree, or a solution."""

    @property
    def answer(self) -> str | None:
        """The answer. None if there is none."""

    @property
    def outcome(self) -> float | None:
        """1 right, 0 wrong, None if it cannot be verified."""


C = TypeVar("C", bound=Candidate)
ClassOf = Callable[[str], Hashable]
"""The class of an answer. Answers of one class are one answer, as the task says (`Task.classes`)."""
ScoreName = Literal["search", "last", "min", "prod", "mean"]


@dataclass(frozen=True, slots=True)
class Ballot(Generic[C]):
    """`copies` final paths that end in `leaf`, each with this score: `Ballot(leaf, 2, 0.75)`."""

    leaf: C
    copies: int
    score: float


@dataclass(frozen=True, slots=True)
class Elected(Generic[C]):
    """The outcome of a vote."""

    leaf: C | None
    """The seeded choice. None if nothing was chosen."""
    accuracy: float | None
    """P(the choice is right) over the rule's random choices: ties, draws. 0 without a choice, None if it cannot be
    verified."""


class Vote(Piece, ABC):
    """Base of all votes. Each has a `uses: Literal["name"] = "name"`."""

    @property
    def counted(self) -> ScoreName:
        """Which score of a tree's paths the ballots carry."""
        return "search"

    @abstractmethod
    def chances(self, cast: Sequence[Ballot[C]], class_of: ClassOf) -> list[tuple[C, float]]:
        """Candidates with weights in proportion to their chances. Those of weight 0 are left out. An empty list chooses
        nothing, which counts as wrong. In rules that count answers, a candidate represents its answer."""

    def expected_accuracy(self, cast: Sequence[Ballot[C]], size: int, n: int) -> float | None:
        """The mean accuracy over all subsets of `n` of the pool's `size` paths, if the rule has a closed form. None:
        subsets are drawn instead. Paths that cast no ballot are wrong."""
        return None


class ScoredVote(Vote, ABC):
    """A vote that uses scores."""

    score: ScoreName = "search"
    """`search`: the weight that the search left. Otherwise the path's step values, aggregated (every step must have
    one)."""

    @property
    def counted(self) -> ScoreName:
        """The score that the recipe names."""
        return self.score


VOTES: Registry[type[Vote]] = Registry("vote", package="data_gen.search.votes", group="data_gen.votes")
"""Name -> vote."""


def elect(cast: Sequence[Ballot[C]], vote: Vote, class_of: ClassOf, key: str) -> Elected[C]:
    """The choice among `cast`. `key` (e.g. the problem's id) seeds the rule's random choices."""
    weighed = [(leaf, weight) for leaf, weight in vote.chances(cast, class_of) if weight > 0]
    if not weighed:
        return Elected(None, 0.0)
    total = sum(weight for _, weight in weighed)
    chances = [(leaf, weight / total) for leaf, weight in weighed]
    rng = random.Random(stream_seed(0, key, "vote", vote.uses))
    [leaf] = rng.choices([leaf for leaf, _ in chances], [chance for _, chance in chances])
    if any(leaf.outcome is None for leaf, _ in chances):
        return Elected(leaf, None)
    return Elected(leaf, sum(chance * (leaf.outcome or 0.0) for leaf, chance in chances))
