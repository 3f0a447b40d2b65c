"""`entropy`: a bonus for, or a penalty on, the entropy of predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator

from reasoning_train.trainers.losses.base import LOSSES, Loss, Needs, predicted_weight

if TYPE_CHECKING:
    from torch import Tensor

    from reasoning_train.packing.rows import Row
    from reasoning_train.trainers.outputs import Outputs


@LOSSES.register("entropy")
class Entropy(Loss):
    """The weighted mean over tokens of the entropy of the distribution that predicts them, in nats.

    `losses: [cross_entropy, {uses: entropy, weight: -0.01}]` keeps entropy high (arXiv 1701.06548, section 3);
    a positive weight lowers it.
    """

    uses: Literal["entropy"] = "entropy"
    reads = ("tokens",)

    weight: float = Field(-0.01)
    """Negative for a bonus, positive for a penalty."""

    @field_validator("weight")
    @classmethod
    def _says_something(cls, weight: float) -> float:
        if not weight:
            raise ValueError("0 changes nothing; expected a negative number (a bonus) or a positive one (a penalty)")
        return weight

    @property
    def needs(self) -> Needs:
        """The entropy of every prediction."""
        return Needs(entropy=True)

    def normalizer(self, row: Row) -> float:
        """The weight of all predicted tokens."""
        return predicted_weight(row)

    def __call__(self, out: Outputs) -> Tensor:
        """Sum over the tokens of all traces."""
        return (out.entropy * out.batch["token_weight"]).sum()
