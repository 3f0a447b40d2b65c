"""A typed span of a solution: its kind, its text and token ids, and the loss weight of its tokens."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from data_gen.errors import UserError
from data_gen.records.rows import Single


class Kind(StrEnum):
    """Kind of a span of a solution. The set is closed, because trainers, searches and verifiers branch on it."""

    PROMPT = "prompt"
    """Text given to the policy in the middle of a solution, such as a second question."""
    PLAN = "plan"
    """The policy's plan."""
    THINK = "think"
    """Thinking. No answer is read from it."""
    STEP = "step"
    """One step of the reasoning, including its delimiter. Step checkers check these."""
    ACTION = "action"
    """A tool call."""
    OBSERVATION = "observation"
    """A tool's output. The policy did not write it: it has no loss and no value, and belongs to no step of the
    policy."""
    CODE = "code"
    ANSWER = "answer"
    """The marked answer line."""
    CONTROL = "control"
    """A control token or word, such as one that asks for a short solution."""
    END = "end"
    """The stop token, or a text that ends a solution."""

    @property
    def own(self) -> bool:
        """Whether the policy wrote it."""
        return self not in (Kind.PROMPT, Kind.OBSERVATION)

    @property
    def answers(self) -> bool:
        """Whether a final answer may be read from it: text that the policy wrote outside its thinking."""
        return self.own and self is not Kind.THINK

    @property
    def weight(self) -> float:
        """Default loss weight of its tokens: 0 for what the policy did not write, else 1."""
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
    """A kind given by name, such as `"step"`, becomes the enum member. UserError for any other name."""
    text: str
    token_ids: tuple[int, ...] = ()
    """Empty until a tokenizer has encoded the text (gold solutions). A token that straddles two segments belongs to the
    one in which it begins and takes that segment's weight."""
    weight: Single = None  # type: ignore[assignment]
    """Loss weight of every token of the segment. Default: the weight of its kind. 0 masks it."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UserError(f"A segment's kind is {self.kind!r}; expected one of {', '.join(KINDS)}.")
        object.__setattr__(self, "kind", Kind(self.kind))
        if self.weight is None:
            object.__setattr__(self, "weight", self.kind.weight)


KINDS = tuple(map(str, Kind))


def said(segments: Iterable[Segment]) -> str:
    """The text that a final answer may be read from: neither thoughts nor tool outputs."""
    return "".join(segment.text for segment in segments if segment.kind.answers)
