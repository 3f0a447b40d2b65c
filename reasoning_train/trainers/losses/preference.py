"""Preferences between two traces: DPO with label smoothing, IPO, SimPO; length-normalised or not, with an SFT term or
not.

The better trace of a row comes first. Sums run over the tokens that carry weight: with the prefix in the prompt and
weights on one step this is Step-DPO (2406.18629, eq. 3), with smoothing N_l / (N_w + N_l) it is MCTS-DPO (2405.00451,
eq. 5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from reasoning_train.packing.rows import Row
from reasoning_train.trainers.losses.base import Outputs

Kind = Literal["sigmoid", "ipo", "simpo"]


@dataclass(frozen=True)
class Preference:
    """h = margin of the better over the worse trace, in log-probability against the reference (SimPO: without one,
    averaged over tokens).

    sigmoid: -(1 - s) log sigma(beta h) - s log sigma(-beta h) (DPO, 2305.18290 eq. 7; s: the row's smoothing, else
    `smoothing`);
    ipo: (h - 1 / (2 beta))^2 (2310.12036 eq. 17; per token where `normalise`);
    simpo: -log sigma(beta h - gamma) (2405.14734 eq. 6).
    """

    kind: Kind = "sigmoid"
    beta: float = 0.1
    gamma: float = 0.0
    smoothing: float = 0.0
    normalise: bool = False
    """Log-probabilities are averaged over tokens, the reference's too. SimPO always does."""
    sft: float = 0.0
    """Times the mean over rows of -log p of the better trace a token."""
    factor: float = 1.0
    name: str = "preference"
    watched: tuple[str, ...] = ("accuracy", "margin")
    """Share of rows with h > 0 (ties half), and mean h."""

    def normalizer(self, row: Row) -> float:
        """The row's weight."""
        return row.weight

    def __call__(self, out: Outputs) -> Tensor:
        """Sum over rows. A row of another number of traces than two is a ValueError."""
        losses = self._losses(self._margins(out), out.batch["row_smoothing"])
        if self.sft:
            losses = losses - self.sft * (out.trace_logprobs / out.trace_tokens)[pairs(out)[0]]
        return (losses * out.batch["row_weight"]).sum()

    def watch(self, out: Outputs) -> tuple[Tensor, ...]:
        """Sums over rows."""
        h = self._margins(out)
        return (((h > 0) + 0.5 * (h == 0)) * out.batch["row_weight"]).sum(), (h * out.batch["row_weight"]).sum()

    def _margins(self, out: Outputs) -> Tensor:
        """[K] h of every row."""
        better, worse = pairs(out)
        gained = out.trace_logprobs if self.kind == "simpo" else out.trace_logprobs - out.batch["trace_reference"]
        if self.normalise or self.kind == "simpo":
            gained = gained / out.trace_tokens
        return gained[better] - gained[worse]

    def _losses(self, h: Tensor, of_row: Tensor) -> Tensor:
        match self.kind:
            case "ipo":
                return (h - 1 / (2 * self.beta)) ** 2
            case "simpo":
                return -F.logsigmoid(self.beta * h - self.gamma)
        smoothing = torch.where(of_row > 0, of_row, torch.full_like(of_row, self.smoothing))
        return -(1 - smoothing) * F.logsigmoid(self.beta * h) - smoothing * F.logsigmoid(-self.beta * h)


def pairs(out: Outputs) -> tuple[Tensor, Tensor]:
    """[K], [K]: numbers of the better and of the worse trace of every row."""
    rows = out.batch["trace_row"]
    if len(rows) != 2 * len(out.batch["row_weight"]) or not torch.equal(rows[::2], rows[1::2]):
        raise ValueError("a preference loss needs rows of two traces each, the better one first")
    numbers = torch.arange(len(rows), device=rows.device)
    return numbers[::2], numbers[1::2]
