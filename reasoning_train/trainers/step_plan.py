"""Which rows form optimizer step t: fixed by (rows, batch size, epochs, seed) alone, not by packing, micro-batch or world size."""

from __future__ import annotations

import random
from collections.abc import Sequence

from reasoning_train.packing.sequence import TrainRow, pack


def plan_steps(n_rows: int, batch_size: int, *, epochs: float | None, max_steps: int | None, seed: int) -> list[list[int]]:
    """Row indices of every step. Each epoch is a fresh permutation; batches run on across epoch ends, so none is short but the last."""
    total = max_steps if max_steps is not None else max(1, round((epochs or 1) * n_rows / batch_size))
    rng, order = random.Random(seed), list[int]()
    while len(order) < total * batch_size:
        order += rng.sample(range(n_rows), n_rows)
    return [order[t * batch_size : (t + 1) * batch_size] for t in range(total)]


def micro_batches(rows: Sequence[TrainRow], *, packing: bool, capacity: int, tokens: int) -> list[list[list[TrainRow]]]:
    """Packs of one step, grouped so that no forward pass holds more than `tokens` (padding included) unless one pack alone does."""
    lengths = [len(row.ids) for row in rows]
    packs = pack(lengths, max(capacity, *lengths)) if packing else [[i] for i in sorted(range(len(rows)), key=lambda i: -lengths[i])]
    groups: list[list[list[TrainRow]]] = []
    width = 0
    for indices in packs:
        size = sum(lengths[i] for i in indices)
        if not groups or max(width, size) * (len(groups[-1]) + 1) > tokens:
            groups.append([])
            width = 0
        width = max(width, size)
        groups[-1].append([rows[i] for i in indices])
    return groups
