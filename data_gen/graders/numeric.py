"""`numeric`: numbers, exactly or within a tolerance."""

from __future__ import annotations

from collections.abc import Hashable
from fractions import Fraction
from typing import ClassVar, Literal

from pydantic import Field

from data_gen.graders import GRADERS
from data_gen.graders.base import Grader, decided
from data_gen.grading import values
from data_gen.records.problem import Problem
from data_gen.records.verdict import Grade, Verdict


@GRADERS.register("numeric")
class Numeric(Grader):
    """`grader: {uses: numeric, tolerance: 1e-3}`: gold is one number, with or without a currency sign, a unit or a
    percent sign. An answer may be a sentence that contains only one number."""

    version: ClassVar[int] = 2
    uses: Literal["numeric"] = "numeric"
    tolerance: float = Field(0.0, ge=0)
    """Greatest absolute difference from gold."""
    relative: float = Field(0.0, ge=0)
    """Greatest difference as a share of gold. The wider of the two tolerances counts."""

    def reads(self, gold: str) -> bool:
        """The whole text is one rational number."""
        return values.is_number(values.read(gold))

    def canonical(self, problem: Problem, answer: str) -> Hashable | None:
        """What it says. Numbers within the tolerance are found in pairs."""
        return values.canonical(answer)

    def compare(self, *, gold: str, answer: str) -> Grade:
        """Reason: the kind of gold (`integer`, `decimal`, `fraction`, `percent`, `scaled`), or WRONG `not_a_number`."""
        if not values.is_number(values.read(answer)):
            return Grade(Verdict.WRONG, "not_a_number")
        graded = values.compare(gold, answer)
        return decided(graded.verdict is Verdict.CORRECT or self._near(gold, answer), graded.reason)

    def _near(self, gold: str, answer: str) -> bool:
        if not self.tolerance and not self.relative:
            return False
        absolute, relative = Fraction(self.tolerance), Fraction(self.relative)
        pairs = values.pairs(gold, answer)
        return any(abs(wanted - said) <= max(absolute, relative * abs(wanted)) for wanted, said in pairs)
