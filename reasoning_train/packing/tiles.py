"""Non-empty tiles (FlexAttention's blocks) of a packed forest's mask, computed from its runs. Other tiles are skipped.

torch finds them by evaluating all pairs of columns: 661 MiB for 7,936 columns on an H200, and four times that for twice
as many. The runs, some hundred per forest, determine them directly. B: packed rows, N: tiles along either side.
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
    """For every tile row of queries, the tiles of keys that are partly visible (`some`) and fully visible (`whole`):
    their number [B, N] int32 and their indices [B, N, N] int32, of which the first that many count."""

    some: torch.Tensor
    some_at: torch.Tensor
    whole: torch.Tensor
    whole_at: torch.Tensor

    def named(self, at: str) -> Batch:
        """The tiles as entries of a batch."""
        return {f"{at}.{name}": getattr(self, name) for name in self.__slots__}

    @classmethod
    def of(cls, batch: Batch, at: str) -> Tiles:
        """The tiles from entries of a batch."""
        return cls(*(batch[f"{at}.{name}"] for name in cls.__slots__))


def tiles(forests: Sequence[Forest], width: int, window: int | None) -> Tiles:
    """The tiles of packed rows of `width` columns. With a window no tile counts as fully visible."""
    import torch

    n = -(-width // TILE)
    some, whole = torch.zeros(len(forests), n, n, dtype=torch.bool), torch.zeros(len(forests), n, n, dtype=torch.bool)
    for row, forest in enumerate(forests):
        for number, run in enumerate(forest.runs):
            _see(forest.runs, number, some[row], whole[row], window)
            assert run.start + len(run.ids) <= width
        for tile in range(forest.width // TILE, n):  # padding columns see themselves
            some[row, tile, tile] = True
    return Tiles(*_listed(some & ~whole), *_listed(whole))


def _see(runs: Sequence[Run], number: int, some: torch.Tensor, whole: torch.Tensor, window: int | None) -> None:
    """Mark the tiles that one run sees: its own up to each token, and those of all runs above it."""
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
    """Depths of a run's first and last column in each tile that it touches."""
    import torch

    touched = _touched(run)
    at = torch.arange(touched.start, touched.stop) * TILE - run.start
    return run.depth + at.clamp_min(0), run.depth + (at + TILE - 1).clamp_max(len(run.ids) - 1)


def _below(near: torch.Tensor | bool, n: int) -> torch.Tensor:
    """A run's tiles on and below the diagonal that are in the window."""
    import torch

    return torch.ones(n, n, dtype=torch.bool).tril() & near


def _touched(run: Run) -> slice:
    """Tiles that contain columns of the run."""
    return slice(run.start // TILE, -(-(run.start + len(run.ids)) // TILE))


def _filled(run: Run) -> slice:
    """Tiles whose columns all belong to the run."""
    first = -(-run.start // TILE)
    return slice(first, max(first, (run.start + len(run.ids)) // TILE))


def _listed(dense: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    return dense.sum(-1, dtype=torch.int32), dense.to(torch.int8).argsort(dim=-1, descending=True, stable=True).to(
        torch.int32
    )
