"""`whole`: the completion is the answer."""

from __future__ import annotations

from typing import ClassVar, Literal

from data_gen.extractors import EXTRACTORS
from data_gen.extractors.base import Extractor


@EXTRACTORS.register("whole")
class Whole(Extractor):
    """`extract: whole`: the whole completion, without white space at both ends."""

    version: ClassVar[int] = 1
    uses: Literal["whole"] = "whole"

    def find(self, text: str, answer_mark: str) -> str | None:
        """None for an empty completion."""
        return text.strip() or None
