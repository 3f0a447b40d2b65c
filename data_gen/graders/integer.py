"""`integer`: plain whole numbers."""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar, Literal

from data_gen.graders import GRADERS
from data_gen.graders.base import Grader, decided
from data_gen.records.problem import Problem
from data_gen.records.verdict import Grade, Verdict


@GRADERS.register("integer")
class Integer(Grader):
    """`grader: integer`: equal integers in digits, with an optional minus sign (`-` or U+2212). Anything else is wrong,
    including units, formulas and more digits than Python reads (4,300). It is the strict and fast grader of generated
    tasks."""

    version: ClassVar[int] = 1
    forms_decide: ClassVar[bool] = True
    uses: Literal["integer"] = "integer"

    def reads(self, gold: str) -> bool:
        """Digits only, with an optional minus sign."""
        return _read(gold) is not None

    def canonical(self, problem: Problem, answer: str) -> Hashable | None:
        """The integer, or its text."""
        return answer.strip() if (said := _read(answer)) is None else said

    def compare(self, *, gold: str, answer: str) -> Grade:
        """Reason `integer`, or WRONG `not_an_integer`."""
        said = _read(answer)
        return Grade(Verdict.WRONG, "not_an_integer") if said is None else decided(said == _read(gold), "integer")


def _read(text: str) -> int | None:
    text = text.strip().replace("\u2212", "-", 1)
    if not text.removeprefix("-").isdecimal():
        return None
    try:
        return int(text)
    except ValueError:  # too many digits (sys.set_int_max_str_digits)
        return None
