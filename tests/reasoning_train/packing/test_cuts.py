"""Cutting large trees: by hand, and that pieces hold every row once within the tokens they say."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from reasoning_train.packing.cuts import cut_tree
from reasoning_train.packing.forest import grow
from reasoning_train.packing.rows import Row
from tests.reasoning_train.packing.tiny import trace


def width(rows: list[Row]) -> int:
    return grow([one for row in rows for one in row.traces], share=True).width


def test_a_cut_falls_where_little_is_repeated() -> None:
    # Two lines of 3 behind a prompt of 2, two leaves each, the lines in turns: cut in order, both pieces would hold
    # both lines.
    leaves = [Row((trace(7, 7, line, line, line, leaf),)) for leaf in (1, 2) for line in (5, 6)]
    assert cut_tree(leaves, 12) == [([0, 2, 1, 3], 12)]
    assert cut_tree(leaves, 11) == [([0, 2, 1], 11), ([3], 6)]
    assert cut_tree(leaves, 7) == [([0, 2], 7), ([1, 3], 7)]
    assert cut_tree(leaves, 1) == [([0], 6), ([2], 6), ([1], 6), ([3], 6)]


@given(st.integers(0, 100_000), st.integers(1, 60))
def test_pieces_hold_every_row_once_within_the_tokens(seed: int, tokens: int) -> None:
    rng = random.Random(seed)
    pool: list[tuple[int, ...]] = [(1, 2)]
    for _ in range(rng.randint(1, 20)):
        pool.append((*rng.choice(pool), *(rng.randrange(3) for _ in range(rng.randint(1, 6)))))
    rows = [
        Row(tuple(trace(*ids) for ids in rng.choices(pool, k=rng.randint(1, 3)))) for _ in range(rng.randint(1, 10))
    ]
    pieces = cut_tree(rows, tokens)
    assert sorted(i for members, _ in pieces for i in members) == list(range(len(rows)))
    for members, size in pieces:
        assert size == width([rows[i] for i in members])
        assert size <= tokens or len(members) == 1
    if width(rows) <= tokens:
        assert len(pieces) == 1
