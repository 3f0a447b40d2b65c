"""Answers of several parts: dividing a text at separators that stand outside brackets, and pairing parts that fit."""

from __future__ import annotations

from collections.abc import Sequence

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


def most_pairs(fits: Sequence[Sequence[bool]]) -> int:
    """How many rows can be paired with a column of their own that fits (maximum bipartite matching, Kuhn's algorithm).

    >>> most_pairs([[True, True], [True, False]]), most_pairs([[True], [True]])
    (2, 1)
    """
    row_of: dict[int, int] = {}

    def pair(row: int, tried: set[int]) -> bool:
        """Pair a row, if need be by pairing others anew. `tried`: columns that this attempt has looked at."""
        for column, fit in enumerate(fits[row]):
            if fit and column not in tried:
                tried.add(column)
                if column not in row_of or pair(row_of[column], tried):
                    row_of[column] = row
                    return True
        return False

    return sum(pair(row, set()) for row in range(len(fits)))
