"""`choice`: one or several options of a list."""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar, Literal

from data_gen.graders import GRADERS
from data_gen.graders.base import Grader, decided
from data_gen.grading.choices import LETTERS, Options
from data_gen.grading.clean import folded
from data_gen.records.problem import Problem
from data_gen.records.verdict import Answer, Grade, Verdict


@GRADERS.register("choice")
class Choice(Grader):
    """`grader: choice`: gold is one label or several (`AD`, `A, D`). An answer must pick all of them and no other, in
    any order and phrasing: by label (`(b)`, `Option B`), or by the text of the option. An answer that hedges, denies
    or contradicts itself is wrong."""

    version: ClassVar[int] = 2
    forms_decide: ClassVar[bool] = True
    uses: Literal["choice"] = "choice"

    def grade(self, problem: Problem, answer: Answer) -> Grade:
        """As `Grader.grade`; the reason is `choice`, or `option_text` for an answer that gives the option's text."""
        if problem.gold is None:
            return Grade(Verdict.UNVERIFIABLE, "no_gold")
        options = options_of(problem)
        wanted = options.alone(problem.gold)
        if not wanted:
            return Grade(Verdict.UNVERIFIABLE, "bad_gold")
        if answer.text is None or not answer.text.strip():
            return Grade(Verdict.WRONG, "no_answer")
        picked, by_label = options.picked(answer.text), Options(options.labels).picked(answer.text)
        return decided(picked == wanted, "option_text" if picked == wanted != by_label else "choice")

    def canonical(self, problem: Problem, answer: str) -> Hashable | None:
        """The labels that it picks, or its text."""
        return options_of(problem).picked(answer) or folded(answer)

    def reads(self, gold: str) -> bool:
        """Labels alone."""
        return bool(Options().alone(gold))

    def compare(self, *, gold: str, answer: str) -> Grade:
        """Reason `choice`. `grade` also knows the problem's own labels and texts."""
        return decided(Options().picked(answer) == Options().alone(gold), "choice")


def options_of(problem: Problem) -> Options:
    """The options of a problem. Without any, every letter may be one."""
    if not problem.choices:
        return Options()
    return Options(LETTERS[: len(problem.choices)], problem.choices, problem.labels)
