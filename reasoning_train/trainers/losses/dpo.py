"""`dpo`: direct preference optimisation (arXiv 2305.18290, eq. 7), with label smoothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from reasoning_train.trainers.losses.base import LOSSES
from reasoning_train.trainers.losses.preference import Preference, over_reference

if TYPE_CHECKING:
    from torch import Tensor

    from reasoning_train.trainers.outputs import Outputs


@LOSSES.register("dpo")
class DPO(Preference):
    """-(1 - s) log sigma(beta h) - s log sigma(-beta h), where h is the margin in log-probability over the reference.

    With s = N_l / (N_w + N_l) it is MCTS-DPO (arXiv 2405.00451, eq. 5).
    """

    uses: Literal["dpo"] = "dpo"
    reads = ("pairs", "reference")

    beta: float = Field(0.1, gt=0)
    label_smoothing: float = Field(0.0, ge=0, le=0.5)
    """s for pairs without one of their own. Pairs of rule `best_sibling` may have one from visit counts."""
    length_normalised: bool = False
    """Average log-probabilities over tokens, also those of the reference."""

    def scores(self, out: Outputs) -> Tensor:
        """[N] gains on the reference."""
        return over_reference(out, length_normalised=self.length_normalised)

    def of_margin(self, h: Tensor, smoothing: Tensor) -> Tensor:
        """[K] losses. A pair's own smoothing takes precedence."""
        import torch
        import torch.nn.functional as F

        s = torch.where(smoothing > 0, smoothing, torch.full_like(smoothing, self.label_smoothing))
        return -(1 - s) * F.logsigmoid(self.beta * h) - s * F.logsigmoid(-self.beta * h)
