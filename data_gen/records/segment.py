"""A typed span of a solution: what it is, its text and token ids, and what its tokens weigh in a loss."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from data_gen.errors import UserError
from data_gen.records.rows import Single


class Kind(StrEnum):
    """What a span of a solution is. The set is closed: trainers, searches and verifiers decide by it."""

    PROMPT = "prompt"
    """Put to the policy in the course of a solution, such as a second question."""
    PLAN = "plan"
    """What the policy means to do."""
    THINK = "think"
    """Thought aloud; no answer is read from it."""
    STEP = "step"
    """One step of the reasoning, its delimiter included: what step checkers check."""
    ACTION = "action"
    """A call of a tool."""
    OBSERVATION = "observation"
    """What a tool gave back. The policy did not write it: it has no loss, no value, and is nobody's step."""
    CODE = "code"
    ANSWER = "answer"
    """The marked answer line."""
    CONTROL = "control"
    """A token or word that steers, such as one that asks for a short solution."""
    END = "end"
    """The stop token, or the text that ends a solution."""

    @property
    def own(self) -> bool:
        """Whether the policy wrote it."""
        return self not in (Kind.PROMPT, Kind.OBSERVATION)

    @property
    def answers(self) -> bool:
        """Whether a final answer may be read from it: what the policy said, and not only thought."""
        return self.own and self is not Kind.THINK

    @property
    def weight(self) -> float:
        """Loss weight of its tokens where nothing else is said: 0 for what the policy did not write, else 1."""
        return float(self.own)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A typed span of a solution.

    >>> Segment(kind=Kind.STEP, text="Ben: 12 + 5 = 17\\n", token_ids=(9, 4, 7)).weight
    1.0
    >>> Segment(kind=Kind.OBSERVATION, text="17\\n").weight
    0.0
    """

    kind: Kind
    """A name of the set, such as `"step"`, becomes its member; UserError for any other."""
    text: str
    token_ids: tuple[int, ...] = ()
    """Empty while no tokenizer has seen the text (gold solutions). A token that runs across the end of a segment
    belongs to the one in which it begins, and takes its weight."""
    weight: Single = None  # type: ignore[assignment]
    """Loss weight of every token of the segment: that of its kind unless another is given; 0 masks it."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UserError(f"A segment's kind is {self.kind!r}; expected one of {', '.join(KINDS)}.")
        object.__setattr__(self, "kind", Kind(self.kind))
        if self.weight is None:
            object.__setattr__(self, "weight", self.kind.weight)


KINDS = tuple(map(str, Kind))
