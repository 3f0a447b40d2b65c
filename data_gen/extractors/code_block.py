"""`code_block`: the content of the last fenced code block."""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from data_gen.extractors import EXTRACTORS
from data_gen.extractors.base import Extractor

_BLOCK = re.compile(r"^[ \t]*```[ \t]*([\w+#.-]*)[^\n]*\n(.*?)^[ \t]*```[ \t]*$", re.S | re.M)


@EXTRACTORS.register("code_block")
class CodeBlock(Extractor):
    """`extract: code_block` or `{uses: code_block, language: python}`: a block between fences of three backticks. A
    block that is never closed holds no answer."""

    version: ClassVar[int] = 1
    uses: Literal["code_block"] = "code_block"
    language: str | None = None
    """Only blocks marked with this language, ignoring case. Null: any block."""

    def find(self, text: str, answer_mark: str) -> str | None:
        """The block with its indentation, without its fences."""
        wanted = self.language and self.language.lower()
        found = [block for name, block in _BLOCK.findall(text) if wanted is None or name.lower() == wanted]
        return (found[-1].strip("\n") or None) if found else None
