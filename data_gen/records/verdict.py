"""The three-way verdict of every grader, and a type that keeps answers apart from gold."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """A grader's verdict on one answer.

    `UNVERIFIABLE` means that gold is missing or cannot be read, whatever the answer. Such rows never enter a positive
    or a negative set. An answer that cannot be read is WRONG.
    """

    CORRECT = "correct"
    WRONG = "wrong"
    UNVERIFIABLE = "unverifiable"


@dataclass(frozen=True, slots=True)
class Answer:
    """An extracted answer, e.g. `Answer("1234")`. `Answer(None)`: the solution has none."""

    text: str | None


@dataclass(frozen=True, slots=True)
class Grade:
    """A verdict, its reason and its score, e.g. `Grade(Verdict.WRONG, "list", score=0.5)`."""

    verdict: Verdict
    reason: str
    """A short identifier (`integer`, `fraction`, `formula`, `no_answer`, `timeout`, `bad_gold`, ...), counted in
    manifests."""
    score: float | None = None
    """Share of the answer that is right, in [0, 1]. Default: 1 for CORRECT, 0 for WRONG, None for UNVERIFIABLE."""

    def __post_init__(self) -> None:
        if self.score is None:
            known = {Verdict.CORRECT: 1.0, Verdict.WRONG: 0.0}.get(self.verdict)
            object.__setattr__(self, "score", known)
