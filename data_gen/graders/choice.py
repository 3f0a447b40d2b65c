"""`choice`: letters of one or several options."""

from __future__ import annotations

import string
from typing import ClassVar, Literal

from data_gen.graders import GRADERS
from data_gen.graders.base import Grader, decided
from data_gen.grading.choices import gold_letters, picked_letters
from data_gen.grading.clean import plain, same_text
from data_gen.records.problem import Problem
from data_gen.records.verdict import Answer, Grade, Verdict


@GRADERS.register("choice")
class Choice(Grader):
    """`grader: choice`: gold is one letter or several (`AD`, `A, D`). An answer must pick all of them and no other, in
    any order. An answer that repeats the text of the right option picks it."""

    version: ClassVar[int] = 1
    uses: Literal["choice"] = "choice"

    def grade(self, problem: Problem, answer: Answer) -> Grade:
        """As `Grader.grade`; the texts of the problem's options count, too."""
        graded = super().grade(problem, answer)
        if graded.verdict is Verdict.WRONG and answer.text and self._repeats(problem, answer.text):
            return Grade(Verdict.CORRECT, "option_text")
        return graded

    def reads(self, gold: str) -> bool:
        """Letters alone."""
        return bool(gold_letters(plain(gold)))

    def compare(self, *, gold: str, answer: str) -> Grade:
        """Reason `choice`."""
        return decided(picked_letters(plain(answer)) == gold_letters(plain(gold)), "choice")

    def _repeats(self, problem: Problem, answer: str) -> bool:
        """Whether the answer is the text of the one right option."""
        right = gold_letters(plain(problem.gold or ""))
        options = dict(zip(string.ascii_uppercase, problem.choices, strict=False))
        return len(right) == 1 and any(same_text(options[letter], answer) for letter in right & options.keys())
