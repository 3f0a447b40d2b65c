"""The vote interface: a frozen config that recipes write, and one function from ballots to chances.

    @VOTES.register("first")
    class First(Vote):
        uses: Literal["first"] = "first"

        def chances(self, cast: Sequence[Ballot[C]], class_of: ClassOf) -> list[tuple[C, float]]: ...

Every rule reads the same stored tree or pool of solutions, so a pool is drawn once. Released code differs:
search-and-learn compares normalized strings. Here the task says which answers are one, and equal scores share the vote
instead of the first one winning. The rules of this folder are written over arrays (`arrays.py`), so that many subsets
of a pool are counted at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, Literal, Protocol, TypeVar

from pydantic import BeforeValidator, SerializeAsAny, WithJsonSchema

from data_gen.measures.base import Measure
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
    measured: Mapping[Measure, Mapping[str, float]] = field(default_factory=dict, hash=False)
    """The columns of the measures that the rule reads (`Vote.measures`)."""


@dataclass(frozen=True, slots=True)
class Elected(Generic[C]):
    """The outcome of a vote."""

    leaf: C | None
    """The seeded choice. None if nothing was chosen."""
    accuracy: float | None
    """P(the choice is right) over the rule's random choices: ties, draws, subsets. 0 without a choice, None if it
    cannot be verified."""
    abstained: float = 0.0
    """P(the rule abstains). An abstention is neither right nor wrong; `accuracy` counts it as not right."""
    confidence: float | None = None
    """How sure the rule is of the seeded choice (`Vote.confidence`)."""


class Vote(Piece, ABC):
    """Base of all votes. Each has a `uses: Literal["name"] = "name"`."""

    @property
    def counted(self) -> ScoreName:
        """Which score of a tree's paths the ballots carry."""
        return "search"

    @property
    def named_score(self) -> ScoreName | None:
        """The score that the recipe names. None if it leaves the choice to the rule."""
        return None

    @property
    def has_bar(self) -> bool:
        """Whether scores are compared with a number, so that they must mean the same on every problem."""
        return False

    @property
    def accepting(self) -> float | None:
        """The least score with which the rule takes the first candidate that has it. None if it does not go by that
        alone: a rule around such a rule draws and answers in another way."""
        return None

    @property
    def abstains(self) -> bool:
        """Whether choosing nothing is an abstention. Otherwise it is a wrong answer."""
        return False

    @property
    def confidence(self) -> Literal["share", "score"] | None:
        """What says how sure the rule is: the winning answer's share of the votes, or the chosen path's score."""
        return None

    def measures(self) -> tuple[Measure, ...]:
        """The measures whose columns the ballots must carry."""
        return ()

    def stops(self, score: float) -> bool:
        """Whether a candidate of this score ends the drawing, so that the draws after it cost nothing."""
        return False

    @abstractmethod
    def chances(self, cast: Sequence[Ballot[C]], class_of: ClassOf) -> list[tuple[C, float]]:
        """Candidates with weights in proportion to their chances. Those of weight 0 are left out. An empty list chooses
        nothing, which counts as wrong unless the rule `abstains`. In rules that count answers, a candidate represents
        its answer."""

    def expected(self, cast: Sequence[Ballot[C]], size: int, n: int) -> tuple[float, float] | None:
        """(accuracy, share of abstentions): means over all subsets of `n` of the pool's `size` paths, if the rule has a
        closed form. None: subsets are counted instead. Paths that cast no ballot are wrong."""
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

    @property
    def named_score(self) -> ScoreName | None:
        """The score, if it is written and not the search's own."""
        return self.score if "score" in self.model_fields_set and self.score != "search" else None


VOTES: Registry[type[Vote]] = Registry("vote", package="data_gen.search.votes", group="data_gen.votes")
"""Name -> vote."""


def _read(value: Any) -> Any:
    if isinstance(value, Vote):
        return value
    written = {"uses": value} if isinstance(value, str) else value
    if not isinstance(written, Mapping) or not isinstance(written.get("uses"), str):
        raise ValueError(f"{value!r} is no vote; write a name ({', '.join(VOTES.names())}) or {{uses: NAME, ...}}")
    if written["uses"] not in VOTES.names():
        raise ValueError(f"there is no vote {written['uses']!r}; expected one of {', '.join(VOTES.names())}")
    return VOTES.get(written["uses"]).model_validate(written)


InnerVote = Annotated[
    SerializeAsAny[Vote],
    BeforeValidator(_read),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object", "required": ["uses"]}]}),
]
"""A vote inside a vote, by name or written out. It is read when a recipe is, since rules contain one another."""
