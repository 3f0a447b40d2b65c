"""Values: regression at single places (ORM, PRM, TVM, AlphaMath, ReST-MCTS*) and comparisons between traces
(rankings)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from reasoning_train.packing.rows import Row
from reasoning_train.trainers.losses.base import Outputs


@dataclass(frozen=True)
class Regression:
    """Weighted mean over the places that have a target: squared error of the value (after the activation, on the head's
    scale), or cross-entropy of a probability with a soft or hard target, on the scores (`bce`, which needs a sigmoid
    head)."""

    kind: Literal["mse", "bce"] = "mse"
    factor: float = 1.0
    name: str = "value"
    watched: tuple[str, ...] = ()

    def normalizer(self, row: Row) -> float:
        """Weight of all targets."""
        return sum(sum(trace.target_weights) for trace in row.traces)

    def __call__(self, out: Outputs) -> Tensor:
        """Sum over all places of all traces: a target that k traces share counts k times."""
        target, weight = out.batch["value_target"], out.batch["value_weight"]
        if self.kind == "mse":
            losses = (out.head.activate(out.raw) - target) ** 2
        else:
            scores = out.raw * out.head.config.gain + out.head.config.offset
            losses = F.binary_cross_entropy_with_logits(scores, target, reduction="none")
        return (losses * weight).sum()

    def watch(self, out: Outputs) -> tuple[Tensor, ...]:
        """Nothing: the loss says it."""
        return ()


@dataclass(frozen=True)
class Ranking:
    """Mean over rows of the mean over their ordered pairs of -log sigma(r_better - r_worse - margin).

    Over right and wrong solutions of one problem this is Qwen2.5-Math's listwise loss (2409.12122, section 3.1); over
    the children of one node, read at the ends of their steps, Tree-PLV's (2407.00390); over two of them, rStar-Math's
    (2501.04519, section 3.3).
    """

    margin: float = 0.0
    factor: float = 1.0
    name: str = "ranking"
    watched: tuple[str, ...] = ("accuracy",)
    """Share of a row's ordered pairs that the scores order alike (ties half)."""

    def normalizer(self, row: Row) -> float:
        """The row's weight, 0 where nothing in it can be compared."""
        return row.weight if len(set(row.ranks)) > 1 else 0.0

    def __call__(self, out: Outputs) -> Tensor:
        """Sum over rows."""
        ahead, weights = self._compared(out)
        return (-F.logsigmoid(ahead - self.margin) * weights).sum()

    def watch(self, out: Outputs) -> tuple[Tensor, ...]:
        """Sum over rows."""
        ahead, weights = self._compared(out)
        return ((((ahead > 0) + 0.5 * (ahead == 0)) * weights).sum(),)

    def _compared(self, out: Outputs) -> tuple[Tensor, Tensor]:
        """(by how much the better one is ahead, weight) of every ordered pair; a row's pairs share its weight."""
        scores, ranks, rows = out.trace_scores, out.batch["trace_rank"], out.batch["trace_row"]
        compared = (rows[:, None] == rows[None, :]) & (ranks[:, None] > ranks[None, :])
        better, worse = compared.nonzero(as_tuple=True)
        n = torch.bincount(rows[better], minlength=len(out.batch["row_weight"])).clamp_min(1)
        return scores[better] - scores[worse], (out.batch["row_weight"] / n)[rows[better]]
