"""The three-way verdict that every checker gives, and the types that keep gold and answer apart."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What a checker says of one answer.

    `UNVERIFIABLE` is for gold that cannot be parsed, a checker that timed out, or a task without gold:
    such rows never enter a positive or a negative set.
    """

    CORRECT = "correct"
    WRONG = "wrong"
    UNVERIFIABLE = "unverifiable"


@dataclass(frozen=True, slots=True)
class Gold:
    """The reference answer, e.g. `Gold("1,234")`. A type of its own, so that it cannot stand where the answer
    belongs."""

    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """An extracted answer, e.g. `Answer("1234")`; `Answer(None)` when the solution marks none."""

    text: str | None


@dataclass(frozen=True, slots=True)
class Grade:
    """A verdict and how it came about, e.g. `Grade(Verdict.CORRECT, "integer")`.

    `reason` is a short machine word (`integer`, `fraction`, `math_verify`, `no_answer`, `timeout`, `bad_gold`, ...),
    counted in manifests.
    """

    verdict: Verdict
    reason: str
