"""Key-value memory of continuous batching: one slot per row. Every row's cache starts at column 0.

Left alignment makes a row's attention independent of its neighbours. Columns beyond a row's length are masked, and
columns are read in whole blocks, so a wider read for a longer neighbour only adds exact zeros.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

BLOCK = 32
"""Columns are read, and memory grows, in multiples of this."""


def round_up(n: int, block: int = BLOCK) -> int:
    """The least multiple of `block` that is >= n."""
    return -(-n // block) * block


def exact_columns(n: int) -> int:
    """The least number of columns >= n at which a row's attention gives the same bits as at any other number that this
    returns.

    Masked columns add zeros, but where a product of four query rows or more sums over 193 to 383 columns (of each 512
    that attention takes at once), MKL sums in two halves; those widths are left out.
    """
    columns = round_up(n)
    rest = columns % 512
    return columns + 384 - rest if 192 < rest < 384 else columns


def kv_shape(config: Any) -> tuple[int, int, int]:
    """(layers, key-value heads, head dimension) of a decoder-only config."""
    heads = config.num_attention_heads
    dim = getattr(config, "head_dim", None) or config.hidden_size // heads
    return config.num_hidden_layers, getattr(config, "num_key_value_heads", None) or heads, dim


def column_bytes(model: Any) -> int:
    """Bytes of keys and values per token."""
    layers, heads, dim = kv_shape(model.config)
    return 2 * layers * heads * dim * model.dtype.itemsize


class SlotCache:
    """Preallocated keys and values `[slots, kv heads, columns, dim]` of each layer. It replaces a transformers `Cache`.

    Before each forward `aim` sets the columns of the new tokens. The model then calls `update` layer by layer. The size
    that `reserve` asks for is doubled, as far as slots times columns stay within `capacity`, so that growing rows are
    seldom copied.
    """

    def __init__(self, config: Any, dtype: torch.dtype, device: torch.device, capacity: int = 0) -> None:
        layers, self._heads, self._dim = kv_shape(config)
        self._dtype, self._device, self._capacity = dtype, device, capacity
        self.slots, self.columns = 0, 0
        self.layers: list[tuple[Tensor, Tensor]] = [(self._zeros(0, 0), self._zeros(0, 0)) for _ in range(layers)]

    def _zeros(self, slots: int, columns: int) -> Tensor:
        # Zeros, not garbage: a NaN in a masked column would survive its zero weight.
        return lazy_zeros((slots, self._heads, columns, self._dim), self._dtype, self._device)

    def reserve(self, slots: int, columns: int) -> None:
        """Room for `slots` rows of `columns` columns. It grows in blocks."""
        if slots <= self.slots and columns <= self.columns:
            return
        slots = max(self.slots, round_up(slots))
        if columns > self.columns:
            ahead = min(2 * columns, self._capacity // slots // BLOCK * BLOCK)
            columns = round_up(max(columns, ahead))
        columns = max(self.columns, columns)
        grow_layers(self.layers, lambda old: self._grown(old, slots, columns))
        self.slots, self.columns = slots, columns

    def _grown(self, old: Tensor, slots: int, columns: int) -> Tensor:
        new = self._zeros(slots, columns)
        new[: self.slots, :, : self.columns] = old
        return new

    def move(self, sources: Tensor, targets: Tensor, columns: int) -> None:
        """Copy the first `columns` columns of slots `sources` onto slots `targets`."""
        for pair in self.layers:
            for kept in pair:
                kept[targets, :, :columns] = kept[sources, :, :columns]

    def aim(self, positions: Tensor, columns: int) -> None:
        """The next `update` writes row i's tokens to the columns `positions[i]` (`[rows, tokens]`). Attention reads the
        first `columns`."""
        self._rows = torch.arange(len(positions), device=positions.device)[:, None]
        self._positions, self._read = positions, columns

    def update(self, keys: Tensor, values: Tensor, layer_idx: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Store the new tokens (`[rows, heads, tokens, dim]`); returns the columns to attend to."""
        kept_keys, kept_values = self.layers[layer_idx]
        kept_keys[self._rows, :, self._positions] = keys.transpose(1, 2)
        kept_values[self._rows, :, self._positions] = values.transpose(1, 2)
        rows = len(self._rows)
        return kept_keys[:rows, :, : self._read], kept_values[:rows, :, : self._read]


def lazy_zeros(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Zeros. On a CPU the operating system supplies them page by page on the first write, so reserved memory costs
    nothing until then.

    (An allocator would reuse freed memory and clear it.)
    """
    size = math.prod(shape) * dtype.itemsize
    if device.type != "cpu" or not size:
        return torch.zeros(shape, dtype=dtype, device=device)
    pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return torch.frombuffer(pages, dtype=dtype).view(shape)


def grow_layers(layers: list[tuple[Tensor, Tensor]], grown: Callable[[Tensor], Tensor]) -> None:
    """Replace keys and values one tensor at a time, so that at most one exists in both sizes."""
    for i in range(len(layers)):
        layers[i] = (grown(layers[i][0]), layers[i][1])
        layers[i] = (layers[i][0], grown(layers[i][1]))
