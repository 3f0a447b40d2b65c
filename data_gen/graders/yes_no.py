"""`yes_no`: yes or no, true or false."""

from __future__ import annotations

from typing import ClassVar, Literal

from data_gen.graders import GRADERS
from data_gen.graders.base import Grader, decided
from data_gen.grading.choices import picked_word
from data_gen.grading.clean import plain
from data_gen.records.verdict import Grade


@GRADERS.register("yes_no")
class YesNo(Grader):
    """`grader: yes_no`: gold is yes, no, true or false. An answer may continue after its first word but must not say
    both."""

    version: ClassVar[int] = 1
    uses: Literal["yes_no"] = "yes_no"

    def reads(self, gold: str) -> bool:
        """Exactly one of the four words."""
        return picked_word(plain(gold), is_gold=True) is not None

    def compare(self, *, gold: str, answer: str) -> Grade:
        """Reason `yes_no`."""
        said = picked_word(plain(answer), is_gold=False)
        return decided(said == picked_word(plain(gold), is_gold=True), "yes_no")
