"""`auto`: chooses the comparison by the form of gold: an option, yes or no, a value, else text."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import ClassVar, Literal

from data_gen.graders import GRADERS
from data_gen.graders.base import Grader, decided
from data_gen.graders.choice import Choice, options_of
from data_gen.grading import values
from data_gen.grading.choices import Options
from data_gen.grading.clean import plain, same_text
from data_gen.grading.yes_no import alone, said
from data_gen.records.problem import Problem
from data_gen.records.verdict import Answer, Grade

_OPTION = re.compile(r"(?:[A-Za-z]+:?\s+)*(?:[A-Z][.):]?|[(\[]\s*[A-Za-z]\s*[)\]]|[a-z][.)])")


@GRADERS.register("auto")
class Auto(Grader):
    """`grader: auto`, the default. It compares options if the problem has some; else a single letter, yes and no, or
    values, by the form of gold: numbers with units, formulas, dates, times, ratios. A text is a value only if all of it
    was read. Anything else is compared as text."""

    version: ClassVar[int] = 3
    instant: ClassVar[bool] = False
    uses: Literal["auto"] = "auto"

    def grade(self, problem: Problem, answer: Answer) -> Grade:
        """As `Grader.grade`; a problem with options is graded by `choice`."""
        if problem.choices and problem.gold is not None and options_of(problem).alone(problem.gold):
            return Choice().grade(problem, answer)
        return super().grade(problem, answer)

    def canonical(self, problem: Problem, answer: str) -> Hashable | None:
        """As `choice` for a problem with options; else an option or a truth value alone, or what the text says."""
        if problem.choices:
            return Choice().canonical(problem, answer)
        text = plain(answer)
        return _letter(text) or alone(text) or values.canonical(answer)

    def reads(self, gold: str) -> bool:
        """Any text with a letter or digit, except a formula that is cut off or too large to evaluate."""
        text = plain(gold)
        if _letter(text) or alone(text):
            return True
        if values.read(gold):
            return values.evaluates(gold)
        return re.search(r"\w", text) is not None and text.count("{") == text.count("}")

    def compare(self, *, gold: str, answer: str) -> Grade:
        """The reason names the comparison that decided: `choice`, `yes_no`, `text`, the kind of value (`integer`,
        `decimal`, `fraction`, `percent`, `scaled`, `formula`, `date`, `clock`, ...), `ambiguous` (gold is a number, and
        the answer says several or none), `timeout` or `checker_died`."""
        if letter := _letter(plain(gold)):
            return decided(Options().picked(plain(answer)) == letter, "choice")
        if word := alone(plain(gold)):
            return decided(said(plain(answer)) == word, "yes_no")
        wanted, found = values.read(gold), values.read(answer)
        if wanted and found:
            return values.compare(gold, answer)
        if same_text(gold, answer):
            return decided(True, "text")
        return decided(False, "ambiguous" if values.is_number(wanted) else "text")


def _letter(gold: str) -> frozenset[str]:
    """The one letter that gold names as an option: a capital, or any letter with a mark. Others are variables."""
    found = Options().alone(gold) if _OPTION.fullmatch(gold) else frozenset()
    return found if len(found) == 1 else frozenset()
