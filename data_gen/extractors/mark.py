"""`mark`: the rest of the line after the last answer mark."""

from __future__ import annotations

from typing import ClassVar, Literal

from data_gen.extractors import EXTRACTORS
from data_gen.extractors.base import Extractor


@EXTRACTORS.register("mark")
class AnswerMark(Extractor):
    """`extract: mark`, the default. A final full stop is not part of the answer."""

    version: ClassVar[int] = 1
    uses: Literal["mark"] = "mark"
    mark: str | None = None
    """The text that precedes the answer, e.g. `"#### "`. Null: the Format's `answer_mark`."""

    def find(self, text: str, answer_mark: str) -> str | None:
        """The text after the last mark. None if that text is empty or there is no mark."""
        _, mark, rest = text.rpartition((self.mark or answer_mark).rstrip())
        return rest.split("\n", 1)[0].strip().rstrip(".").strip() or None if mark else None
