"""Language modelling: cross-entropy on the tokens that carry weight."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from reasoning_train.packing.rows import Row
from reasoning_train.trainers.losses.base import Outputs


@dataclass(frozen=True)
class CrossEntropy:
    """Weighted mean of -log p over tokens."""

    factor: float = 1.0
    name: str = "lm"
    watched: tuple[str, ...] = ()

    def normalizer(self, row: Row) -> float:
        """Weight of all tokens but the first of each trace, which nothing predicts."""
        return sum(sum(trace.weights[1:]) for trace in row.traces)

    def __call__(self, out: Outputs) -> Tensor:
        """Sum over the tokens of all traces: what k of them share counts k times."""
        return -(out.logprobs * out.batch["token_weight"]).sum()

    def watch(self, out: Outputs) -> tuple[Tensor, ...]:
        """Nothing: the loss says it."""
        return ()
