"""`last_number`: the last number of the text."""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from data_gen.extractors import EXTRACTORS
from data_gen.extractors.base import Extractor

_NUMBER = re.compile(r"(?:(?<![\w).])[-\u2212])?\$?(?:\d[\d,]*(?:\.\d+)?|(?<![\w.])\.\d+)(?:/\d+)?")


@EXTRACTORS.register("last_number")
class LastNumber(Extractor):
    """`extract: last_number`: digits with separators, decimals, a fraction `a/b` and a sign. The hyphen of a range
    (`3-5`) is not a sign. Put it last, since it finds an answer in any text with a number."""

    version: ClassVar[int] = 1
    uses: Literal["last_number"] = "last_number"

    def find(self, text: str, answer_mark: str) -> str | None:
        """The number without its dollar sign."""
        found = _NUMBER.findall(text)
        return found[-1].replace("$", "").rstrip(",") if found else None
