"""`exact`: the same characters."""

from __future__ import annotations

from typing import ClassVar, Literal

from data_gen.graders import GRADERS
from data_gen.graders.base import Grader, decided
from data_gen.records.verdict import Grade


@GRADERS.register("exact")
class Exact(Grader):
    """`grader: exact`: equal characters, except for white space at both ends. Use it for symbols, code words and other
    texts whose case and punctuation matter."""

    version: ClassVar[int] = 1
    uses: Literal["exact"] = "exact"

    def compare(self, *, gold: str, answer: str) -> Grade:
        """Reason `exact`."""
        return decided(gold.strip() == answer.strip(), "exact")
