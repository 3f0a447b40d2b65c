"""`exact`: the same characters."""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar, Literal

from data_gen.graders import GRADERS
from data_gen.graders.base import Grader, decided
from data_gen.records.problem import Problem
from data_gen.records.verdict import Grade


@GRADERS.register("exact")
class Exact(Grader):
    """`grader: exact`: equal characters, except for white space at both ends. Use it for symbols, code words and other
    texts whose case and punctuation matter."""

    version: ClassVar[int] = 1
    forms_decide: ClassVar[bool] = True
    uses: Literal["exact"] = "exact"

    def canonical(self, problem: Problem, answer: str) -> Hashable | None:
        """Its text."""
        return answer.strip()

    def compare(self, *, gold: str, answer: str) -> Grade:
        """Reason `exact`."""
        return decided(gold.strip() == answer.strip(), "exact")
