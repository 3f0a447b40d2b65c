"""`text`: the same words, whatever their formatting."""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar, Literal

from data_gen.graders import GRADERS
from data_gen.graders.base import Grader, decided
from data_gen.grading.clean import folded, same_text
from data_gen.records.problem import Problem
from data_gen.records.verdict import Grade


@GRADERS.register("text")
class Text(Grader):
    """`grader: text`: equal texts, ignoring case, mark-up, white space, punctuation at both ends and a lead-in such as
    `The answer is`. Articles, plurals, accents and word order count."""

    version: ClassVar[int] = 2
    forms_decide: ClassVar[bool] = True
    uses: Literal["text"] = "text"

    def canonical(self, problem: Problem, answer: str) -> Hashable | None:
        """Its words."""
        return folded(answer)

    def compare(self, *, gold: str, answer: str) -> Grade:
        """Reason `text`."""
        return decided(same_text(gold, answer), "text")
