"""Cuts packed forests into blocks of queries with the same ancestors, and groups blocks of similar size into few
attention calls.

A block is a run, or small subtrees below one run. Its queries attend to the ancestors' columns, gathered once per
block, and to each other. Small blocks gather the same ancestors many times; large ones score pairs that are masked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reasoning_train.packing.forest import Forest

OWN = 64
"""Most columns of a block of several runs."""
CALL = 1 << 13
"""Overhead of an attention call, in query-key pairs. Grouping may score this many masked pairs to save a call."""


@dataclass(frozen=True, slots=True)
class Block:
    """Columns of one packed row. Two samples of a solution's third line after five shared columns: `Block((5, 6, 7, 8),
    (0, 1, 2, 3, 4))`."""

    own: tuple[int, ...]
    above: tuple[int, ...]
    chain: bool = False
    """One run without ancestors: plain causal attention."""

    @property
    def keys(self) -> int:
        """Number of columns that the queries attend to."""
        return len(self.above) + len(self.own)


def cut(forest: Forest, window: int | None = None, own: int = OWN) -> list[Block]:
    """Blocks that together hold every column of the forest once. A block's ancestors are limited to those that its
    first query sees in `window`."""
    below: dict[int, list[int]] = {-1: []}
    for number, run in enumerate(forest.runs):
        below[number] = []
        below[run.parent].append(number)
    size = [len(run.ids) for run in forest.runs]
    for number in reversed(range(len(size))):
        if (parent := forest.runs[number].parent) >= 0:
            size[parent] += size[number]
    blocks: list[Block] = []
    waiting: list[tuple[int, tuple[int, ...]]] = [(-1, ())]
    while waiting:
        parent, above = waiting.pop()
        large = [child for child in below[parent] if size[child] > own]
        for runs in _filled([child for child in below[parent] if size[child] <= own], size, own):
            blocks.append(_block(forest, [run for root in runs for run in _subtree(root, below)], above, window))
        for child in large:
            blocks.append(_block(forest, [child], above, window))
            waiting.append((child, above + _columns(forest, child)))
    return blocks


def _filled(roots: Sequence[int], size: Sequence[int], own: int) -> list[list[int]]:
    """Groups of adjacent subtrees, in order, with at most `own` columns per group."""
    filled: list[list[int]] = []
    room = 0
    for root in roots:
        if size[root] > room:
            filled.append([])
            room = own
        filled[-1].append(root)
        room -= size[root]
    return filled


def _subtree(root: int, below: dict[int, list[int]]) -> list[int]:
    found = [root]
    for run in found:
        found += below[run]
    return found


def _columns(forest: Forest, run: int) -> tuple[int, ...]:
    return tuple(range(forest.runs[run].start, forest.runs[run].start + len(forest.runs[run].ids)))


def _block(forest: Forest, runs: Sequence[int], above: tuple[int, ...], window: int | None) -> Block:
    own = tuple(column for run in runs for column in _columns(forest, run))
    seen = above if window is None else above[max(0, forest.runs[runs[0]].depth - window + 1) :]
    return Block(own, seen, chain=len(runs) == 1 and not seen and (window is None or len(own) <= window))


def group(blocks: Sequence[Block]) -> list[list[int]]:
    """Groups of block indices, one attention call per group, padded to the longest block. Chains are separate. Padding
    costs no more than a call."""
    groups: list[list[int]] = []
    queries = keys = pairs = 0
    for i in sorted(
        range(len(blocks)), key=lambda i: (blocks[i].chain, len(blocks[i].own), blocks[i].keys), reverse=True
    ):
        block = blocks[i]
        own, area = len(block.own), len(block.own) * block.keys
        alike = bool(groups) and blocks[groups[-1][0]].chain == block.chain
        padded = (len(groups[-1]) + 1) * queries * max(keys, block.keys) if alike else 0
        if alike and padded <= pairs + area + CALL:
            groups[-1].append(i)
            keys, pairs = max(keys, block.keys), pairs + area
        else:
            groups.append([i])
            queries, keys, pairs = own, block.keys, area
    return groups
