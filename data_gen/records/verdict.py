"""The three-way verdict that every grader gives, and the type that keeps an answer apart from gold."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What a grader says of one answer.

    `UNVERIFIABLE` is for gold that is missing or cannot be read, whatever the answer: such rows never enter a positive
    or a negative set. An answer that cannot be read is WRONG.
    """

    CORRECT = "correct"
    WRONG = "wrong"
    UNVERIFIABLE = "unverifiable"


@dataclass(frozen=True, slots=True)
class Answer:
    """An extracted answer, e.g. `Answer("1234")`; `Answer(None)` when the solution marks none."""

    text: str | None


@dataclass(frozen=True, slots=True)
class Grade:
    """A verdict, how it came about and how good the answer is, e.g. `Grade(Verdict.WRONG, "list", score=0.5)`."""

    verdict: Verdict
    reason: str
    """A short machine word (`integer`, `fraction`, `math_verify`, `no_answer`, `timeout`, `bad_gold`, ...), counted in
    manifests."""
    score: float | None = None
    """Share of the answer that is right, in [0, 1]. Unless given: 1 for CORRECT, 0 for WRONG; None for UNVERIFIABLE."""

    def __post_init__(self) -> None:
        if self.score is None:
            known = {Verdict.CORRECT: 1.0, Verdict.WRONG: 0.0}.get(self.verdict)
            object.__setattr__(self, "score", known)
