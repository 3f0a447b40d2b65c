"""Where lines end: as if every prefix were decoded, whatever tokens say alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.marks import Marks
from data_gen.segmenter import Segmenter

WORDS = ("a", " b", "\n", "\n\n", " \n", "c\n", "\nd", "\u00e9", " ", "Answer: ", "")
Decode = Callable[[Sequence[int]], str]


def whole(ids: Sequence[int]) -> str:
    return "".join(WORDS[i] for i in ids)


def stripped(ids: Sequence[int]) -> str:
    """As SentencePiece: without the space at the start."""
    return whole(ids).removeprefix(" ")


def alone_otherwise(ids: Sequence[int]) -> str:
    """A token alone says what it does not say in company."""
    return "?\n?" if len(ids) == 1 and ids[0] == 0 else whole(ids)


def by_prefixes(decode: Decode, ids: Sequence[int], delimiter: str) -> list[tuple[int, ...]]:
    found, start = [], 0
    while start < len(ids):
        stops = [n for n in range(start + 1, len(ids) + 1) if delimiter in decode(ids[start:n]).lstrip()]
        end = stops[0] if stops else len(ids)
        found.append(tuple(ids[start:end]))
        start = end
    return found


@pytest.mark.parametrize("decode", [whole, stripped])
@pytest.mark.parametrize("delimiter", ["\n", "\n\n", "a\n"])
@given(ids=st.lists(st.integers(0, len(WORDS) - 1), max_size=24))
def test_lines_end_where_the_first_prefix_is_complete(decode: Decode, delimiter: str, ids: list[int]) -> None:
    pieces = [piece for _, piece in Segmenter(decode, delimiter, "Answer:", Marks()).pieces(ids)]
    assert pieces == by_prefixes(decode, ids, delimiter)


@given(ids=st.lists(st.integers(1, len(WORDS) - 1), min_size=1, max_size=12).map(lambda ids: [1, 0, *ids]))
def test_what_tokens_say_alone_does_not_decide(ids: list[int]) -> None:
    pieces = [piece for _, piece in Segmenter(alone_otherwise, "\n", "Answer:", Marks()).pieces(ids)]
    assert pieces == by_prefixes(alone_otherwise, ids, "\n")
