"""Text as a terminal or a log may show it."""

from __future__ import annotations

import re

_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters other than tabs and line breaks, marks that turn the direction of text, and halves of characters.
A terminal obeys them: titles, colours, the clipboard, or a line that reads otherwise than it is."""


def printable(text: str) -> str:
    r"""`text` with its control characters written out.

    >>> printable("\x1b]0;title\x07 and\ttext")
    '\\x1b]0;title\\x07 and\ttext'
    """
    return _HIDDEN.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode("ascii"), text)
