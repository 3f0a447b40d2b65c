r"""`boxed`: what stands in the last `\boxed{...}`."""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from data_gen.extractors import EXTRACTORS
from data_gen.extractors.base import Extractor

_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_BRACE = re.compile(r"\\.|[{}]", re.S)


@EXTRACTORS.register("boxed")
class Boxed(Extractor):
    r"""`extract: boxed`, also `\fbox{...}`. Braces inside are balanced; escaped ones (`\{`) are text. A box that is
    never closed holds no answer."""

    version: ClassVar[int] = 2
    uses: Literal["boxed"] = "boxed"

    def find(self, text: str, answer_mark: str) -> str | None:
        """The content of the last box."""
        boxes = list(_BOX.finditer(text))
        if not boxes:
            return None
        begin = boxes[-1].end()
        depth = 1
        for brace in _BRACE.finditer(text, begin):
            depth += {"{": 1, "}": -1}.get(brace[0], 0)
            if depth == 0:
                return text[begin : brace.start()].strip() or None
        return None
