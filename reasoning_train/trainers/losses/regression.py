"""Base of losses at single positions with weighted targets (ORM, PRM, TVM, AlphaMath, ReST-MCTS*)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from reasoning_train.trainers.losses.base import Loss

if TYPE_CHECKING:
    from torch import Tensor

    from reasoning_train.packing.rows import Row
    from reasoning_train.trainers.outputs import Outputs


class Regression(Loss, ABC):
    """A weighted mean over the positions that have a target."""

    reads = ("targets",)

    def normalizer(self, row: Row) -> float:
        """The weight of all targets."""
        return sum(sum(trace.target_weights) for trace in row.traces)

    @abstractmethod
    def at_places(self, out: Outputs, target: Tensor) -> Tensor:
        """[V] the loss at every position; target [V]."""

    def __call__(self, out: Outputs) -> Tensor:
        """Sum over all positions of all traces; a target that k traces share counts k times."""
        return (self.at_places(out, out.batch["value_target"]) * out.batch["value_weight"]).sum()
