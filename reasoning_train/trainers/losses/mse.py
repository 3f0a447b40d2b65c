"""`mse`: the squared error of values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from data_gen.records.scales import Scale
from reasoning_train.trainers.losses.base import LOSSES
from reasoning_train.trainers.losses.regression import Regression

if TYPE_CHECKING:
    from torch import Tensor

    from data_gen.verifiers.heads import HeadConfig
    from reasoning_train.trainers.outputs import Outputs


@LOSSES.register("mse")
class MSE(Regression):
    """(v - target)^2, where v is the value after the head's activation, on the head's scale (AlphaMath, arXiv
    2405.03553; TVM, arXiv 2407.12863)."""

    uses: Literal["mse"] = "mse"

    def head_problem(self, head: HeadConfig) -> str | None:
        """Ranking scores have no target."""
        if head.scale is Scale.RANKING:
            return "compares values with targets, which a head of scale 'ranking' does not have; expected 'ranking'"
        return None

    def at_places(self, out: Outputs, target: Tensor) -> Tensor:
        """[V] squared errors."""
        return (out.head.activate(out.raw) - target) ** 2
