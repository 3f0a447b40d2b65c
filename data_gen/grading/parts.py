"""Divides a text at separators that stand outside brackets."""

from __future__ import annotations

_OPEN, _CLOSE = "([{", ")]}"
_WIDE = str.maketrans({"；": ";", "，": ","})
"""Separators of Chinese texts by their plain forms."""


def split_outside_brackets(text: str, *marks: str) -> list[str]:
    """The parts between separators, without white space around them. Brackets of different kinds close one another, as
    those of an interval do. If a bracket is never closed, nothing is divided. Empty parts are left out.

    >>> split_outside_brackets("(1, 2), (3, 4]", ","), split_outside_brackets("5；[0, 1)", ";")
    (['(1, 2)', '(3, 4]'], ['5', '[0, 1)'])
    """
    text = text.translate(_WIDE)
    parts, depth, begin, at = list[str](), 0, 0, 0
    while at < len(text):
        if text[at] in _OPEN:
            depth += 1
        elif text[at] in _CLOSE:
            depth -= 1
        elif depth == 0 and (mark := next((m for m in marks if text.startswith(m, at)), "")):
            parts.append(text[begin:at])
            at = begin = at + len(mark)
            continue
        at += 1
    if depth:
        return [text.strip()]
    return [part.strip() for part in (*parts, text[begin:]) if part.strip()]
