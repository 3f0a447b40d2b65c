"""Ancestry in packed forests as three numbers per column, so that no mask of all pairs is needed.

Runs are numbered depth first; a run's descendants have the numbers from its own up to `leave`. Column k is column q or
an ancestor of it if `enter[k] <= enter[q] < leave[k]` and `depth[k] <= depth[q]`. B, T: packed rows and columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from reasoning_train.packing.forest import Forest


@dataclass(frozen=True, slots=True)
class Ancestry:
    """`enter`, `leave`, `depth` [B, T] int64. Every padding column is a tree of its own."""

    enter: torch.Tensor
    leave: torch.Tensor
    depth: torch.Tensor

    def sees(self, queries: torch.Tensor, keys: torch.Tensor, window: int | None) -> torch.Tensor:
        """Whether columns `queries` may attend to columns `keys`, both indices into the flattened [B * T]; they
        broadcast.

        window: number of last positions on the path that are visible, the column's own included.
        """
        enter, leave, depth = (tensor.flatten() for tensor in (self.enter, self.leave, self.depth))
        far = depth[queries] - depth[keys]
        seen = (enter[keys] <= enter[queries]) & (enter[queries] < leave[keys]) & (far >= 0)
        return seen if window is None else seen & (far < window)

    def pairs(self, window: int | None) -> torch.Tensor:
        """[B, T, T] bool: whether a column (first T) may attend to another (last T)."""
        import torch

        columns = torch.arange(self.enter.numel(), device=self.enter.device).view_as(self.enter)
        return self.sees(columns[:, :, None], columns[:, None, :], window)


def ancestry(forests: Sequence[Forest], width: int) -> Ancestry:
    """The ancestry of packed rows of `width` columns."""
    import torch

    n_runs = max(len(forest.runs) for forest in forests)
    enter = torch.arange(n_runs, n_runs + width).repeat(len(forests), 1)  # padding: numbers that no run has
    leave, depth = enter + 1, torch.zeros_like(enter)
    for b, forest in enumerate(forests):
        numbers = _depth_first([run.parent for run in forest.runs])
        lengths = torch.tensor([len(run.ids) for run in forest.runs])
        depths = torch.tensor([run.depth - run.start for run in forest.runs])
        used = int(lengths.sum())
        columns = torch.tensor(numbers).repeat_interleave(lengths, dim=0)
        enter[b, :used], leave[b, :used] = columns[:, 0], columns[:, 1]
        depth[b, :used] = torch.arange(used) + depths.repeat_interleave(lengths)
    row = torch.arange(len(forests))[:, None] * (n_runs + width + 1)  # rows of a batch never see each other
    return Ancestry(enter + row, leave + row, depth)


def _depth_first(parents: Sequence[int]) -> list[tuple[int, int]]:
    """(enter, leave) of every run; parents come before their children.

    >>> _depth_first([-1, 0, 0, 1])
    [(0, 4), (1, 3), (3, 4), (2, 3)]
    """
    size = [1] * len(parents)
    for run in reversed(range(len(parents))):
        if parents[run] >= 0:
            size[parents[run]] += size[run]
    free, roots, numbers = [0] * len(parents), 0, list[tuple[int, int]]()
    for run, parent in enumerate(parents):
        enter = roots if parent < 0 else free[parent]
        free[run] = enter + 1
        if parent < 0:
            roots += size[run]
        else:
            free[parent] += size[run]
        numbers.append((enter, enter + size[run]))
    return numbers
