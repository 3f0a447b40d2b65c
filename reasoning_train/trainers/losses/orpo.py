"""`orpo`: the odds-ratio term of ORPO (arXiv 2403.07691, eq. 7), without a reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from reasoning_train.trainers.losses.base import LOSSES
from reasoning_train.trainers.losses.preference import Preference

if TYPE_CHECKING:
    from torch import Tensor

    from reasoning_train.trainers.outputs import Outputs


@LOSSES.register("orpo")
class ORPO(Preference):
    """-log sigma(h), where h is the difference of log-odds log(p / (1 - p)) and p the geometric mean token probability.

    The whole of ORPO with lambda = 0.1 is `losses: [sft, {uses: orpo, weight: 0.1}]`.
    """

    uses: Literal["orpo"] = "orpo"

    def scores(self, out: Outputs) -> Tensor:
        """[N] log-odds. Probabilities are kept slightly below 1."""
        import torch

        logp = (out.trace_logprobs / out.trace_tokens).clamp(max=-1e-6)
        return logp - torch.log(-torch.expm1(logp))

    def of_margin(self, h: Tensor, smoothing: Tensor) -> Tensor:
        """[K] losses; smoothing is not used."""
        import torch.nn.functional as F

        return -F.logsigmoid(h)
