"""`sft`: imitation of the better side of pairs, as an addition to a preference loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from reasoning_train.trainers.losses.base import LOSSES, Loss
from reasoning_train.trainers.losses.preference import pairs

if TYPE_CHECKING:
    from torch import Tensor

    from reasoning_train.packing.rows import Row
    from reasoning_train.trainers.outputs import Outputs


@LOSSES.register("sft")
class SFT(Loss):
    """The mean over pairs of -log p per token of the better side (iterative RPO, arXiv 2404.19733, section 2).

    `losses: [{uses: dpo, beta: 0.3}, {uses: sft, weight: 0.1}]`. To imitate solutions use `cross_entropy`.
    """

    uses: Literal["sft"] = "sft"
    reads = ("pairs",)

    def normalizer(self, row: Row) -> float:
        """The pair's weight."""
        return row.weight

    def __call__(self, out: Outputs) -> Tensor:
        """Sum over pairs."""
        better, _ = pairs(out)
        return -((out.trace_logprobs / out.trace_tokens)[better] * out.batch["row_weight"]).sum()
