"""Texts of pieces of a completion, cut from the text of the whole.

A token decoded alone may lose what it has in context: SentencePiece drops the space at the start of what it decodes,
WordPiece writes none before the first token, and a character may be split between two tokens.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

Ids = Sequence[int]
Decode = Callable[[Ids], str]
CONTEXT = 4
"""Tokens in front of a piece that decide how its first one reads. A character of UTF-8 has at most four bytes."""


def texts_of(decode: Decode, pieces: Sequence[Ids]) -> list[str]:
    """The text of each of consecutive pieces. Joined they are the text of all ids.

    A character whose tokens two pieces share belongs to the later one.

    >>> texts_of(lambda ids: "".join("ab c"[i] for i in ids).lstrip(), [(0, 1), (2, 3)])
    ['ab', ' c']
    """
    ids = list(itertools.chain.from_iterable(pieces))
    whole = decode(ids)
    alone = [decode(piece) for piece in pieces]
    if "".join(alone) == whole:  # so it is for most tokenizers
        return alone
    stops = list(itertools.accumulate(map(len, pieces)))
    behind = [
        text_behind(decode, ids[max(0, stop - len(p) - CONTEXT) : stop - len(p)], p)
        for p, stop in zip(pieces, stops, strict=True)
    ]
    return behind if "".join(behind) == whole else _by_prefixes(decode, ids, stops, whole)


def text_behind(decode: Decode, before: Ids, ids: Ids) -> str:
    """The text of `ids` behind the ids `before`, the last of which decide.

    >>> text_behind(lambda ids: "".join("ab c"[i] for i in ids).lstrip(), (0, 1), (2, 3))
    ' c'
    """
    context = list(before[-CONTEXT:])
    if not context:
        return decode(ids)
    both = decode([*context, *ids])
    return both[_shared(decode(context), both) :]


def _by_prefixes(decode: Decode, ids: Ids, stops: Sequence[int], whole: str) -> list[str]:
    """Each piece ends where the text of all ids up to its end stops being a beginning of the whole."""
    ends = list(itertools.accumulate((_shared(decode(ids[:stop]), whole) for stop in stops), max))
    ends[-1:] = [len(whole)]
    return [whole[begin:end] for begin, end in itertools.pairwise([0, *ends])]


def _shared(one: str, other: str) -> int:
    """Length of the common beginning of two texts."""
    if other.startswith(one):
        return len(one)
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
