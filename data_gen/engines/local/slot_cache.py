"""Key-value memory of continuous batching: one slot per row. Every row's cache starts at column 0.

Left alignment makes a row's attention independent of its neighbours. Columns beyond a row's length are masked, and
columns are read in whole blocks, so a wider read for a longer neighbour only adds exact zeros.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from data_gen.errors import UserError

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


class LayerShape(NamedTuple):
    """What one layer keeps of a token. Keys and values differ in width where attention is compressed (DeepSeek)."""

    heads: int
    keys: int
    values: int


@torch.inference_mode()
def layer_shapes(model: Any) -> list[LayerShape]:
    """The shape of every layer's cache, from a forward of one token. UserError if layers keep anything else than keys
    and values."""
    from transformers import DynamicCache

    cache = DynamicCache()
    model(input_ids=torch.zeros(1, 1, dtype=torch.int64, device=model.device), past_key_values=cache, use_cache=True)
    kept: list[tuple[Any, Any]] = [(getattr(c, "keys", None), getattr(c, "values", None)) for c in cache.layers]
    if not kept or any(keys is None or values is None for keys, values in kept):
        raise UserError(
            f"A {model.config.model_type!r} model keeps other things than keys and values of past tokens; the engine "
            "in this process expects these of every layer."
        )
    return [LayerShape(keys.shape[1], keys.shape[3], values.shape[3]) for keys, values in kept]


def column_bytes(shapes: Sequence[LayerShape], dtype: torch.dtype) -> int:
    """Bytes of keys and values per token."""
    return sum(shape.heads * (shape.keys + shape.values) for shape in shapes) * dtype.itemsize


class SlotCache:
    """Preallocated keys and values `[slots, kv heads, columns, dim]` of each layer. It replaces a transformers `Cache`.

    Before each forward `aim` sets the columns of the new tokens. The model then calls `update` layer by layer. The size
    that `reserve` asks for is doubled, as far as slots times columns stay within `capacity`, so that growing rows are
    seldom copied.
    """

    def __init__(
        self, shapes: Sequence[LayerShape], dtype: torch.dtype, device: torch.device, capacity: int = 0
    ) -> None:
        self._dtype, self._device, self._capacity = dtype, device, capacity
        self.slots, self.columns = 0, 0
        self.layers: list[tuple[Tensor, Tensor]] = [
            (self._zeros(0, heads, 0, keys), self._zeros(0, heads, 0, values)) for heads, keys, values in shapes
        ]

    def _zeros(self, slots: int, heads: int, columns: int, dim: int) -> Tensor:
        # Zeros, not garbage: a NaN in a masked column would survive its zero weight.
        return lazy_zeros((slots, heads, columns, dim), self._dtype, self._device)

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
        new = self._zeros(slots, old.shape[1], columns, old.shape[3])
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

    def get_seq_length(self, *_: Any) -> int:
        """What a plain cache of as many columns would say. Families that ask pass positions on, too, or are refused."""
        return self._read - self._positions.shape[1]

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
