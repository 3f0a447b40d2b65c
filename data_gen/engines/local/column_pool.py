"""Keys and values of stored prefixes, one column per token. They are copied in from where they were computed, and out
to the slots of new rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from data_gen.engines.local.slot_cache import LayerShape, SlotCache, grow_layers, lazy_zeros

FIRST_COLUMNS = 4096
"""Columns allocated at first. The pool grows by half when they run out."""

Layers = list[tuple[Tensor, Tensor]]
"""Keys and values of each layer, `[rows, kv heads, columns, dim]`."""


class ColumnPool:
    """Keys and values `[kv heads, columns, dim]` of each layer. Heads come first, as in the slots: long runs copy
    faster."""

    def __init__(self, shapes: Sequence[LayerShape], dtype: torch.dtype, device: torch.device, capacity: int) -> None:
        self._device, self._capacity = device, capacity
        self.layers: Layers = [
            (
                torch.zeros(heads, 0, keys, dtype=dtype, device=device),
                torch.zeros(heads, 0, values, dtype=dtype, device=device),
            )
            for heads, keys, values in shapes
        ]

    def save(self, layers: Layers, rows: np.ndarray, columns: np.ndarray, targets: np.ndarray) -> None:
        """Copy column `columns[i]` of row `rows[i]` to the pool's column `targets[i]`; all `[tokens]` int64."""
        if not len(targets):
            return
        self._reserve(int(targets.max()) + 1)
        row, column, target = (torch.from_numpy(index).to(self._device) for index in (rows, columns, targets))
        for mine, theirs in zip(self.layers, layers, strict=True):
            for pool, new in zip(mine, theirs, strict=True):
                pool.index_copy_(1, target, new[row, :, column].transpose(0, 1))

    def load(self, paths: Sequence[np.ndarray], slots: Sequence[np.ndarray], cache: SlotCache) -> None:
        """Copy the columns `paths[i]` to the start of every slot in `slots[i]`. They are gathered once, whatever the
        number of slots."""
        index = torch.from_numpy(np.concatenate(paths)).to(self._device)
        if not len(index):
            return
        targets = [_target(group, self._device) for group in slots]
        ends = np.cumsum([len(path) for path in paths]).tolist()
        for mine, theirs in zip(self.layers, cache.layers, strict=True):
            for pool, kept in zip(mine, theirs, strict=True):
                gathered, start = pool.index_select(1, index), 0
                for target, end in zip(targets, ends, strict=True):
                    kept[target, :, : end - start] = gathered[:, start:end]
                    start = end

    def _reserve(self, columns: int) -> None:
        have = self.layers[0][0].shape[1]
        if columns <= have:
            return
        wanted = min(max(columns, have + have // 2, FIRST_COLUMNS), self._capacity)
        grow_layers(self.layers, lambda old: _grown(old, wanted))


def _grown(old: Tensor, columns: int) -> Tensor:
    new = lazy_zeros((old.shape[0], columns, old.shape[2]), old.dtype, old.device)
    new[:, : old.shape[1]] = old
    return new


def _target(slots: np.ndarray, device: torch.device) -> slice | Tensor:
    """Neighbouring slots as a slice, which copies faster than an index."""
    first, last = int(slots[0]), int(slots[-1]) + 1
    return slice(first, last) if last - first == len(slots) else torch.from_numpy(slots).to(device)
