"""Cuts trees that are too large for one forward pass into several, each of which repeats the shared tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reasoning_train.packing.rows import Row

Trie = dict[int, tuple[tuple[int, ...], dict[int, Any]]]
"""First token of a run -> the run, and what follows it."""


def cut_tree(rows: Sequence[Row], tokens: int) -> list[tuple[list[int], int]]:
    """Pieces (indices of rows, number of distinct tokens), none over `tokens` unless a single row is.

    Rows stay whole, so that both sides of a pair are in one pass. Rows that share most are adjacent, so that a cut
    repeats little. Two of three leaves after a prompt of 2 tokens fit into 4:

    >>> from reasoning_train.packing.rows import Trace
    >>> leaf = lambda *ids: Row((Trace(ids, (0.0,) * len(ids)),))
    >>> cut_tree([leaf(5, 9, 1), leaf(5, 9, 2), leaf(5, 9, 3)], 4)
    [([0, 1], 4), ([2], 3)]
    """
    pieces: list[tuple[list[int], int]] = []
    trie: Trie = {}
    for i in sorted(range(len(rows)), key=lambda i: [trace.ids for trace in rows[i].traces]):
        new = sum(_insert(trie, trace.ids) for trace in rows[i].traces)
        if pieces and pieces[-1][1] + new <= tokens:
            pieces[-1] = ([*pieces[-1][0], i], pieces[-1][1] + new)
        else:
            trie = {}
            pieces.append(([i], sum(_insert(trie, trace.ids) for trace in rows[i].traces)))
    return pieces


def _insert(trie: Trie, ids: tuple[int, ...]) -> int:
    """Insert a path; returns the number of its tokens that are new."""
    at = 0
    while at < len(ids):
        if ids[at] not in trie:
            trie[ids[at]] = (ids[at:], {})
            return len(ids) - at
        run, below = trie[ids[at]]
        shared = _shared(run, ids[at : at + len(run)])
        if shared < len(run):
            below = {run[shared]: (run[shared:], below)}
            trie[ids[at]] = (run[:shared], below)
        at += shared
        trie = below
    return 0


def _shared(run: tuple[int, ...], ids: tuple[int, ...]) -> int:
    if ids == run:
        return len(run)
    return next((t for t, (a, b) in enumerate(zip(run, ids, strict=False)) if a != b), min(len(run), len(ids)))
