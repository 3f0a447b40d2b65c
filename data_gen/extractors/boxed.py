r"""`boxed`: what stands in the last `\boxed{...}`."""

from __future__ import annotations

from typing import ClassVar, Literal

from data_gen.extractors import EXTRACTORS
from data_gen.extractors.base import Extractor


@EXTRACTORS.register("boxed")
class Boxed(Extractor):
    """`extract: boxed`. Braces inside are balanced. A box that is never closed holds no answer."""

    version: ClassVar[int] = 1
    uses: Literal["boxed"] = "boxed"

    def find(self, text: str, answer_mark: str) -> str | None:
        """The content of the last box."""
        start = text.rfind("\\boxed{")
        if start < 0:
            return None
        depth, begin = 0, start + len("\\boxed{")
        for i in range(begin - 1, len(text)):
            depth += {"{": 1, "}": -1}.get(text[i], 0)
            if depth == 0:
                return text[begin:i].strip() or None
        return None
