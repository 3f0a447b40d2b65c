"""`simpo`: simple preference optimisation, without a reference (arXiv 2405.14734, eq. 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from reasoning_train.trainers.losses.base import LOSSES
from reasoning_train.trainers.losses.preference import Preference

if TYPE_CHECKING:
    from torch import Tensor

    from reasoning_train.trainers.outputs import Outputs


@LOSSES.register("simpo")
class SimPO(Preference):
    """-log sigma(beta h - gamma), where h is the margin in mean token log-probability."""

    uses: Literal["simpo"] = "simpo"

    beta: float = Field(2.0, gt=0)
    gamma: float = Field(1.0, ge=0)
    """Target margin times beta. The paper recommends beta from 2 to 10 and gamma / beta of about a half."""

    def scores(self, out: Outputs) -> Tensor:
        """[N] mean token log-probability."""
        return out.trace_logprobs / out.trace_tokens

    def of_margin(self, h: Tensor, smoothing: Tensor) -> Tensor:
        """[K] losses; smoothing is not used."""
        import torch.nn.functional as F

        return -F.logsigmoid(self.beta * h - self.gamma)
