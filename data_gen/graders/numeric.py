"""`numeric`: numbers, exactly or within a tolerance."""

from __future__ import annotations

from fractions import Fraction
from typing import ClassVar, Literal

from pydantic import Field

from data_gen.graders import GRADERS
from data_gen.graders.base import Grader, decided
from data_gen.grading.clean import plain
from data_gen.grading.numbers import Reading, read_number, readings, said_number, same_number
from data_gen.records.verdict import Grade, Verdict


@GRADERS.register("numeric")
class Numeric(Grader):
    """`grader: {uses: numeric, tolerance: 1e-3}`: gold is one number, with or without a currency sign, a unit or a
    percent sign. An answer may be a sentence that contains only one number."""

    version: ClassVar[int] = 1
    uses: Literal["numeric"] = "numeric"
    tolerance: float = Field(0.0, ge=0)
    """Greatest absolute difference from gold."""
    relative: float = Field(0.0, ge=0)
    """Greatest difference as a share of gold. The wider of the two tolerances counts."""

    def reads(self, gold: str) -> bool:
        """The whole text is one number."""
        return read_number(plain(gold)) is not None

    def compare(self, *, gold: str, answer: str) -> Grade:
        """Reason: the kind of gold (`integer`, `decimal`, `fraction`, `percent`, `scaled`), or WRONG `not_a_number`."""
        wanted, said = read_number(plain(gold)), said_number(plain(answer))
        assert wanted is not None
        if said is None:
            return Grade(Verdict.WRONG, "not_a_number")
        return decided(same_number(wanted, said) or self._near(wanted, said), wanted.kind)

    def _near(self, gold: Reading, said: Reading) -> bool:
        if not self.tolerance and not self.relative:
            return False
        pairs = [(g, s) for g in readings(gold) for s in readings(said)]
        if gold.scale is not None and said.scale is not None:
            pairs = [(gold.value * gold.scale, said.value * said.scale)]
        absolute, relative = Fraction(self.tolerance), Fraction(self.relative)
        return any(abs(g - s) <= max(absolute, relative * abs(g)) for g, s in pairs)
