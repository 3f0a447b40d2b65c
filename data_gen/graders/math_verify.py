"""`math_verify`: the verdict of the library math-verify."""

from __future__ import annotations

from typing import ClassVar, Literal

from data_gen.extractors.base import Extractor
from data_gen.extractors.whole import Whole
from data_gen.graders import GRADERS
from data_gen.graders.base import Grader
from data_gen.grading import checker
from data_gen.records.problem import Problem
from data_gen.records.verdict import Grade, Verdict


@GRADERS.register("math_verify")
class MathVerify(Grader):
    """`graders: {math_verify: math_verify}`: math-verify's own reading of a whole completion, a cut one too, with gold
    in a box, so that figures compare with those of tools that use it. The library has to be installed: `pip install
    'math-verify[antlr4_13_2]'`. It takes `10%` for 10 as well as for 0.1, and drops units."""

    version: ClassVar[int] = 1
    instant: ClassVar[bool] = False
    uses: Literal["math_verify"] = "math_verify"

    @property
    def finds_with(self) -> tuple[Extractor, ...]:
        """The whole completion, in which the library finds the answer."""
        return (Whole(),)

    def same(self, problem: Problem, one: str, other: str) -> bool:
        """Whether the library takes each for the other's gold."""
        return one == other or checker.math_verify("same", one, other).verdict is Verdict.CORRECT

    def reads(self, gold: str) -> bool:
        """The library finds a value in it."""
        return checker.reads(gold, "math_verify")

    def compare(self, *, gold: str, answer: str) -> Grade:
        """Reason `math_verify`, or WRONG `timeout` or `checker_died`."""
        return checker.math_verify("right", gold, answer)
