"""`math`: formulas and numbers by value."""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar, Literal

from data_gen.graders import GRADERS
from data_gen.graders.base import Grader
from data_gen.grading import values
from data_gen.records.problem import Problem
from data_gen.records.verdict import Grade, Verdict


@GRADERS.register("math")
class Math(Grader):
    """`grader: math`: gold is a formula or a number in LaTeX or plain notation. Equality is decided exactly where
    values are rational, else by evaluation to 60 digits, in a process of its own under time and memory limits."""

    version: ClassVar[int] = 2
    instant: ClassVar[bool] = False
    uses: Literal["math"] = "math"

    def reads(self, gold: str) -> bool:
        """All of the text can be read and evaluated."""
        return bool(values.read(gold)) and values.evaluates(gold)

    def canonical(self, problem: Problem, answer: str) -> Hashable | None:
        """What it says. Some formulas are equal without one form; they are found in pairs."""
        return values.canonical(answer)

    def compare(self, *, gold: str, answer: str) -> Grade:
        """Reason: the kind of gold's value (`integer`, `fraction`, `formula`, ...), or WRONG `unreadable`, `timeout` or
        `checker_died`."""
        return values.compare(gold, answer) if values.read(answer) else Grade(Verdict.WRONG, "unreadable")
