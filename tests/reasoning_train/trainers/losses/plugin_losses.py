"""A loss as a user's own package would bring it: one file, imported through REASONING_TRAIN_PLUGINS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from reasoning_train.trainers.losses.base import LOSSES, Loss, Needs, predicted_weight

if TYPE_CHECKING:
    from torch import Tensor

    from reasoning_train.packing.rows import Row
    from reasoning_train.trainers.outputs import Outputs

NAME = __name__


@LOSSES.register("t_focal")
class Focal(Loss):
    """Cross-entropy, less where a token is likely already, and never where the likeliest one is surer than `sure`."""

    uses: Literal["t_focal"] = "t_focal"
    reads = ("tokens",)

    gamma: float = Field(2.0, ge=0)
    sure: float = Field(1.0, gt=0, le=1)

    @property
    def needs(self) -> Needs:
        """The likeliest token."""
        return Needs(top=1)

    def normalizer(self, row: Row) -> float:
        """The weight of all predicted tokens."""
        return predicted_weight(row)

    def __call__(self, out: Outputs) -> Tensor:
        """Sum over tokens."""
        _, top = out.top(1)
        harder = (1 - out.logprobs.exp()) ** self.gamma * (top[:, 0].exp() <= self.sure)
        return -(harder * out.logprobs * out.batch["token_weight"]).sum()
