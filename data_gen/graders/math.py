"""`math`: formulas compared by computer algebra."""

from __future__ import annotations

from typing import ClassVar, Literal

from data_gen.graders import GRADERS
from data_gen.graders.base import Grader, decided
from data_gen.grading import checker
from data_gen.grading.clean import plain, same_text
from data_gen.grading.formula import formula
from data_gen.records.verdict import Grade, Verdict


@GRADERS.register("math")
class Math(Grader):
    """`grader: math`: gold is a formula in LaTeX or plain notation. math-verify decides equality, in its own process
    under time and memory limits."""

    version: ClassVar[int] = 1
    instant: ClassVar[bool] = False
    uses: Literal["math"] = "math"

    def reads(self, gold: str) -> bool:
        """The whole text is a formula, and math-verify reads it within the limits."""
        whole = formula(plain(gold))
        return whole is not None and checker.reads(whole)

    def compare(self, *, gold: str, answer: str) -> Grade:
        """Reason `text` (the same text), `math_verify`, or WRONG `unreadable`, `timeout` or `checker_died`."""
        wanted, said = formula(plain(gold)), formula(plain(answer))
        assert wanted is not None
        if same_text(gold, answer):
            return decided(True, "text")
        return Grade(Verdict.WRONG, "unreadable") if said is None else checker.compare(wanted, said)
