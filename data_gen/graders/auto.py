"""`auto`: chooses the comparison by the form of gold: an option, yes or no, a number, a formula, else text."""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from data_gen.graders import GRADERS
from data_gen.graders.base import Grader, decided
from data_gen.graders.choice import Choice, options_of
from data_gen.grading import checker
from data_gen.grading.choices import Options
from data_gen.grading.clean import plain, same_text, words
from data_gen.grading.formula import formula
from data_gen.grading.numbers import Reading, read_number, said_number, same_number
from data_gen.grading.yes_no import alone, said
from data_gen.records.problem import Problem
from data_gen.records.verdict import Answer, Grade, Verdict

_OPTION = re.compile(r"(?:[A-Za-z]+:?\s+)*(?:[A-Z][.):]?|[(\[]\s*[A-Za-z]\s*[)\]]|[a-z][.)])")


@GRADERS.register("auto")
class Auto(Grader):
    """`grader: auto`, the default. It compares options if the problem has some; else a single letter, yes and no, a
    number or a formula, by the form of gold. Anything else is compared as text."""

    version: ClassVar[int] = 2
    instant: ClassVar[bool] = False
    uses: Literal["auto"] = "auto"

    def grade(self, problem: Problem, answer: Answer) -> Grade:
        """As `Grader.grade`; a problem with options is graded by `choice`."""
        if problem.choices and problem.gold is not None and options_of(problem).alone(problem.gold):
            return Choice().grade(problem, answer)
        return super().grade(problem, answer)

    def reads(self, gold: str) -> bool:
        """Any text with a letter or digit, except a formula that math-verify cannot read."""
        text = plain(gold)
        if not re.search(r"\w", text):
            return False
        if _letter(text) or alone(text) or read_number(text):
            return True
        whole = formula(text)
        return whole is None or checker.reads(whole)

    def compare(self, *, gold: str, answer: str) -> Grade:
        """The reason names the comparison that decided: `choice`, `yes_no`, `text`, `integer`, `decimal`, `fraction`,
        `percent`, `scaled`, `ambiguous` (several numbers or a hedge), `math_verify`, `timeout` or `checker_died`."""
        gold, answer = plain(gold), plain(answer)
        if letter := _letter(gold):
            return decided(Options().picked(answer) == letter, "choice")
        if word := alone(gold):
            return decided(said(answer) == word, "yes_no")
        if number := read_number(gold):
            return _compare_number(number, gold, answer)
        if same_text(gold, answer):
            return decided(True, "text")
        return _compare_formula(gold, answer)


def _letter(gold: str) -> frozenset[str]:
    """The one letter that gold names as an option: a capital, or any letter with a mark. Others are variables."""
    found = Options().alone(gold) if _OPTION.fullmatch(gold) else frozenset()
    return found if len(found) == 1 else frozenset()


def _compare_number(gold: Reading, gold_text: str, answer: str) -> Grade:
    said = said_number(answer)
    if said is not None:
        return decided(same_number(gold, said), gold.kind)
    if words(answer):
        return Grade(Verdict.WRONG, "ambiguous")
    return _compare_formula(gold_text, answer)


def _compare_formula(gold: str, answer: str) -> Grade:
    """Texts that differ. They are compared by computer algebra if both are formulas as a whole, else the answer is
    wrong."""
    wanted, said = formula(gold), formula(answer)
    return decided(False, "text") if wanted is None or said is None else checker.compare(wanted, said)
