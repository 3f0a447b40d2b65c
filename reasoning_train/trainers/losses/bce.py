"""`bce`: cross-entropy of a probability with soft or hard labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from data_gen.records.scales import Scale
from reasoning_train.trainers.losses.base import LOSSES
from reasoning_train.trainers.losses.regression import Regression

if TYPE_CHECKING:
    from torch import Tensor

    from data_gen.verifiers.heads import HeadConfig
    from reasoning_train.trainers.outputs import Outputs


@LOSSES.register("bce")
class BCE(Regression):
    """-t log sigma(x) - (1 - t) log sigma(-x), where x is the head's score after gain and offset (Math-Shepherd, arXiv
    2312.08935)."""

    uses: Literal["bce"] = "bce"

    def head_problem(self, head: HeadConfig) -> str | None:
        """The head's scores must be log-odds of P(correct)."""
        if head.activation == "sigmoid" and head.scale is Scale.P:
            return None
        return (
            f"needs a head with activation 'sigmoid' and scale 'p', not {head.activation!r} and {str(head.scale)!r}; "
            f"expected {'ranking' if head.scale is Scale.RANKING else 'mse'!r}"
        )

    def at_places(self, out: Outputs, target: Tensor) -> Tensor:
        """[V] cross-entropies."""
        import torch.nn.functional as F

        scores = out.raw * out.head.config.gain + out.head.config.offset
        return F.binary_cross_entropy_with_logits(scores, target, reduction="none")
