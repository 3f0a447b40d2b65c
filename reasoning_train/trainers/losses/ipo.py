"""`ipo`: identity preference optimisation (arXiv 2310.12036, eq. 17)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from reasoning_train.trainers.losses.base import LOSSES
from reasoning_train.trainers.losses.preference import Preference, over_reference

if TYPE_CHECKING:
    from torch import Tensor

    from reasoning_train.trainers.outputs import Outputs


@LOSSES.register("ipo")
class IPO(Preference):
    """(h - 1 / (2 beta))^2, where h is the margin in log-probability over the reference."""

    uses: Literal["ipo"] = "ipo"
    reads = ("pairs", "reference")

    beta: float = Field(0.1, gt=0)
    length_normalised: bool = False
    """Average log-probabilities over tokens, also those of the reference."""

    def scores(self, out: Outputs) -> Tensor:
        """[N] gains on the reference."""
        return over_reference(out, length_normalised=self.length_normalised)

    def of_margin(self, h: Tensor, smoothing: Tensor) -> Tensor:
        """[K] losses; smoothing is not used."""
        return (h - 1 / (2 * self.beta)) ** 2
