"""`cross_entropy`: language modelling on the tokens that carry weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from reasoning_train.trainers.losses.base import LOSSES, Loss, predicted_weight

if TYPE_CHECKING:
    from torch import Tensor

    from reasoning_train.packing.rows import Row
    from reasoning_train.trainers.outputs import Outputs


@LOSSES.register("cross_entropy")
class CrossEntropy(Loss):
    """The weighted mean of -log p over the tokens of solutions."""

    uses: Literal["cross_entropy"] = "cross_entropy"
    reads = ("solutions",)

    def normalizer(self, row: Row) -> float:
        """The weight of all predicted tokens."""
        return predicted_weight(row)

    def __call__(self, out: Outputs) -> Tensor:
        """Sum over the tokens of all traces; a token that k traces share counts k times."""
        return -(out.logprobs * out.batch["token_weight"]).sum()
