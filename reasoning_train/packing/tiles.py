"""Which tiles of a packed forest's mask hold anything (FlexAttention's blocks), from its runs; the others are skipped.

torch finds them by asking for all pairs of columns: 661 MiB for 7,936 columns on an H200, and four times that for twice
as many. A forest of some hundred runs says it at once. B: packed rows, N: tiles along either side.
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
    """For every tile row of queries, tiles of keys that are seen in part and those that are seen whole: how many [B, N]
    int32, and which [B, N, N] int32 (the first so many count)."""

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
    """The tiles of packed rows of so many columns. A window takes no tile for seen whole."""
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
    first, _ = _depths(run)
    while above >= 0:
        other = runs[above]
        _, last = _depths(other)
        near = True if window is None else first[:, None] - last < window
        some[touched, _touched(other)] |= near if above != number else _below(near, len(first))
        if window is None and above != number:
            whole[filled, _filled(other)] = True
        above = other.parent
    if window is None:
        whole[filled, filled] |= _below(True, filled.stop - filled.start).tril(-1)


def _depths(run: Run) -> tuple[torch.Tensor, torch.Tensor]:
    """Depths of the first and of the last column that a run has in each tile that it touches."""
    import torch

    touched = _touched(run)
    at = torch.arange(touched.start, touched.stop) * TILE - run.start
    return run.depth + at.clamp_min(0), run.depth + (at + TILE - 1).clamp_max(len(run.ids) - 1)


def _below(near: torch.Tensor | bool, n: int) -> torch.Tensor:
    """The tiles of a run that lie on and below the diagonal, as far as they are near."""
    import torch

    return torch.ones(n, n, dtype=torch.bool).tril() & near


def _touched(run: Run) -> slice:
    """Tiles that a run has columns in."""
    return slice(run.start // TILE, -(-(run.start + len(run.ids)) // TILE))


def _filled(run: Run) -> slice:
    """Tiles of which a run has all columns."""
    first = -(-run.start // TILE)
    return slice(first, max(first, (run.start + len(run.ids)) // TILE))


def _listed(dense: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    return dense.sum(-1, dtype=torch.int32), dense.to(torch.int8).argsort(dim=-1, descending=True, stable=True).to(
        torch.int32
    )
