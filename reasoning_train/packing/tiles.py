"""Which tiles of a packed forest's mask hold anything, from its runs: FlexAttention skips the others.

torch finds them by asking for all pairs of columns, which for 32 thousand takes gigabytes; a forest of some hundred runs says it at once.
B: packed rows, N: tiles along either side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reasoning_train.packing.batch import Batch

if TYPE_CHECKING:
    import torch

    from reasoning_train.packing.forest import Forest, Run

TILE = 128
"""Columns along either side of a tile."""


@dataclass(frozen=True, slots=True)
class Tiles:
    """For every tile row of queries, tiles of keys that are seen in part and those that are seen whole: how many [B, N] int32, and which
    [B, N, N] int32 (the first so many count)."""

    some: torch.Tensor
    some_at: torch.Tensor
    whole: torch.Tensor
    whole_at: torch.Tensor

    def named(self, at: str) -> Batch:
        """As entries of a batch."""
        return {f"{at}.{name}": getattr(self, name) for name in self.__slots__}

    @classmethod
    def of(cls, batch: Batch, at: str) -> Tiles:
        """Back from these."""
        return cls(*(batch[f"{at}.{name}"] for name in cls.__slots__))


def tiles(forests: Sequence[Forest], width: int, window: int | None) -> Tiles:
    """Of packed rows of so many columns. A window leaves out runs that lie wholly behind it, and takes no tile for seen whole."""
    import torch

    n = -(-width // TILE)
    some, whole = torch.zeros(len(forests), n, n, dtype=torch.bool), torch.zeros(len(forests), n, n, dtype=torch.bool)
    for row, forest in enumerate(forests):
        for number, run in enumerate(forest.runs):
            _see(forest.runs, number, some[row], whole[row], window)
            assert run.start + len(run.ids) <= width
        for tile in range(forest.width // TILE, n):  # padding, whose columns see themselves
            some[row, tile, tile] = True
    return Tiles(*_listed(some & ~whole), *_listed(whole))


def _see(runs: Sequence[Run], number: int, some: torch.Tensor, whole: torch.Tensor, window: int | None) -> None:
    """Mark what one run sees: itself up to each of its tokens, and all of the runs above it."""
    run, above = runs[number], number
    touched, filled = _touched(run), _filled(run)
    while above >= 0:
        other = runs[above]
        if window is not None and run.depth - (other.depth + len(other.ids) - 1) >= window:
            return
        some[touched, _touched(other)] = True
        if window is None and above != number:
            whole[filled, _filled(other)] = True
        above = other.parent
    some[touched, touched] = some[touched, touched].tril()
    if window is None:
        whole[filled, filled] = some[filled, filled].tril(-1)


def _touched(run: Run) -> slice:
    """Tiles that a run has columns in."""
    return slice(run.start // TILE, -(-(run.start + len(run.ids)) // TILE))


def _filled(run: Run) -> slice:
    """Tiles of which a run has all columns."""
    first = -(-run.start // TILE)
    return slice(first, max(first, (run.start + len(run.ids)) // TILE))


def _listed(dense: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    return dense.sum(-1, dtype=torch.int32), dense.to(torch.int8).argsort(dim=-1, descending=True, stable=True).to(torch.int32)
