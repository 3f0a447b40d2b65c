"""Plans which rows form each optimizer step, and how a step is cut into forward passes.

Steps depend only on rows, batch size, epochs and seed, not on packing, micro-batch or world size. Cuts depend only on
the step, so that every rank makes the same cuts and takes its share of them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Literal

from reasoning_train.packing.cuts import cut_tree
from reasoning_train.packing.rows import Row

Packing = Literal["none", "sequence", "tree"]


def plan_steps(
    groups: Sequence[Sequence[int]], batch_size: int, *, epochs: float | None, max_steps: int | None, seed: int
) -> list[list[int]]:
    """Row indices of every step. Each epoch is a new permutation of `groups`, whose rows stay together. Batches
    continue across epochs and groups, so none is short.

    >>> plan_steps([[0], [1], [2]], 2, epochs=1, max_steps=None, seed=0)
    [[1, 2], [0, 1]]
    """
    return mix_steps([groups], [1.0], batch_size, epochs=epochs, max_steps=max_steps, seed=seed)


def mix_steps(
    sources: Sequence[Sequence[Sequence[int]]],
    shares: Sequence[float],
    batch_size: int,
    *,
    epochs: float | None,
    max_steps: int | None,
    seed: int,
) -> list[list[int]]:
    """`plan_steps` over several sources of groups. At any point each source has its share of the rows so far, to within
    a group.

    Each source has its own permutations; a small source is repeated more often. `epochs` counts the rows of all
    sources.

    >>> mix_steps([[[0], [1]], [[2]]], [3, 1], 4, epochs=None, max_steps=2, seed=0)
    [[1, 0, 1, 2], [0, 1, 0, 2]]
    """
    n_rows = sum(len(g) for groups in sources for g in groups)
    total = max_steps if max_steps is not None else max(1, round((epochs or 1) * n_rows / batch_size))
    return _steps(list(islice(_order(sources, shares, seed), total * batch_size)), batch_size)


def spend_tokens(
    sources: Sequence[Sequence[Sequence[int]]],
    shares: Sequence[float],
    batch_size: int,
    *,
    tokens: Sequence[float],
    most: float,
    seed: int,
) -> list[list[int]]:
    """The steps of `mix_steps` up to the row at which the sum of trained `tokens` comes nearest to `most`, at least one
    row. The last step may be short.

    >>> spend_tokens([[[0], [1], [2]]], [1], 2, tokens=[3, 4, 5], most=16, seed=0)
    [[1, 2], [0, 1]]
    """
    total, rows = 0.0, list[int]()
    for row in _order(sources, shares, seed):
        if rows and total + tokens[row] - most > most - total:
            return _steps(rows, batch_size)
        total += tokens[row]
        rows.append(row)
    raise AssertionError("the order has no end")


def _steps(rows: Sequence[int], batch_size: int) -> list[list[int]]:
    return [list(rows[i : i + batch_size]) for i in range(0, len(rows), batch_size)]


def _order(sources: Sequence[Sequence[Sequence[int]]], shares: Sequence[float], seed: int) -> Iterator[int]:
    """An endless stream of rows, from every source by its share."""
    if len(sources) == 1:
        streams = [_shuffled(sources[0], random.Random(seed))]
    else:
        streams = [_shuffled(groups, random.Random(f"{seed}/{s}")) for s, groups in enumerate(sources)]
    given = [0.0] * len(sources)
    while True:
        behind = min(range(len(sources)), key=lambda s: (given[s] + 1) / shares[s])
        group = next(streams[behind])
        given[behind] += len(group)
        yield from group


def _shuffled(groups: Sequence[Sequence[int]], rng: random.Random) -> Iterator[Sequence[int]]:
    while True:
        yield from rng.sample(groups, len(groups))


def in_order(n: int, batch_size: int) -> list[list[int]]:
    """Batches of n rows in order, each row once, for evaluation."""
    return [list(range(i, min(i + batch_size, n))) for i in range(0, n, batch_size)]


def by_group(rows: Sequence[Row]) -> list[list[int]]:
    """Indices of rows by their `group`; a row without one is a group of its own."""
    found: dict[str, list[int]] = {}
    for i, row in enumerate(rows):
        found.setdefault(row.group or f"\0{i}", []).append(i)
    return list(found.values())


def micro_batches(rows: Sequence[Row], *, packing: Packing, capacity: int, tokens: int) -> list[list[list[Row]]]:
    """Packs of one step, grouped into forward passes of at most `tokens` columns, padding included, unless a single
    pack is larger."""
    units = _trees(rows, tokens) if packing == "tree" else [([row], row.tokens) for row in rows]
    lengths = [length for _, length in units]
    if packing == "none":
        packs = [[i] for i in sorted(range(len(units)), key=lambda i: -lengths[i])]
    else:
        packs = pack(lengths, max(capacity, *lengths))
    return _grouped(
        [[row for i in indices for row in units[i][0]] for indices in packs],
        [sum(lengths[i] for i in p) for p in packs],
        tokens,
    )


def _grouped(packs: list[list[Row]], widths: list[int], tokens: int) -> list[list[list[Row]]]:
    groups: list[list[list[Row]]] = []
    width = 0
    for rows, size in zip(packs, widths, strict=True):
        if not groups or max(width, size) * (len(groups[-1]) + 1) > tokens:
            groups.append([])
            width = 0
        width = max(width, size)
        groups[-1].append(rows)
    return groups


def _trees(rows: Sequence[Row], tokens: int) -> list[tuple[list[Row], int]]:
    """Trees of rows with their number of columns: one per group, or several if it would hold more than `tokens`."""
    groups = ([rows[i] for i in indices] for indices in by_group(rows))
    return [([group[i] for i in members], size) for group in groups for members, size in cut_tree(group, tokens)]


def pack(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Indices of the rows in each pack, by first-fit decreasing; ties keep their order. ValueError if a row exceeds the
    capacity."""
    packs: list[list[int]] = []
    room: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if lengths[index] > capacity:
            raise ValueError(f"row {index} has {lengths[index]} tokens, more than the capacity of {capacity}")
        slot = next((s for s, free in enumerate(room) if free >= lengths[index]), None)
        if slot is None:
            packs.append([])
            room.append(capacity)
            slot = len(packs) - 1
        packs[slot].append(index)
        room[slot] -= lengths[index]
    return packs
