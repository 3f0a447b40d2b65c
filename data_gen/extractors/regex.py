"""`regex`: a pattern given by the task."""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from data_gen.extractors import EXTRACTORS
from data_gen.extractors.base import Extractor
from data_gen.patterns import Pattern


@EXTRACTORS.register("regex")
class Regex(Extractor):
    """`extract: {uses: regex, pattern: "#### (-?[0-9.,]+)"}`: the first group that took part in the match, or the whole
    match. Flags are written in the pattern: `(?i)`, `(?s)`."""

    version: ClassVar[int] = 1
    uses: Literal["regex"] = "regex"
    pattern: Pattern
    which: Literal["first", "last"] = "last"
    """Which match counts if there are several."""

    def find(self, text: str, answer_mark: str) -> str | None:
        """White space at both ends is stripped. An empty match is no answer."""
        found = list(re.finditer(self.pattern, text))
        if not found:
            return None
        match = found[0 if self.which == "first" else -1]
        groups = [group for group in match.groups() if group is not None]
        return (groups[0] if groups else match[0]).strip() or None
