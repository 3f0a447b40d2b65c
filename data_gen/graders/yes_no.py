"""`yes_no`: yes or no, true or false."""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar, Literal

from data_gen.graders import GRADERS
from data_gen.graders.base import Grader, decided
from data_gen.grading.clean import folded
from data_gen.grading.yes_no import alone, said
from data_gen.records.problem import Problem
from data_gen.records.verdict import Grade


@GRADERS.register("yes_no")
class YesNo(Grader):
    """`grader: yes_no`: gold is yes, no, true or false. An answer may explain itself, but must not hedge, deny or say
    both."""

    version: ClassVar[int] = 2
    forms_decide: ClassVar[bool] = True
    uses: Literal["yes_no"] = "yes_no"

    def canonical(self, problem: Problem, answer: str) -> Hashable | None:
        """What it says, or its text."""
        return ("said", word) if (word := said(answer)) else folded(answer)

    def reads(self, gold: str) -> bool:
        """One of the four words alone."""
        return alone(gold) is not None

    def compare(self, *, gold: str, answer: str) -> Grade:
        """Reason `yes_no`."""
        return decided(said(answer) == alone(gold), "yes_no")
