"""What a loss term is, and what it sees of a forward pass."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor

from reasoning_train.packing.batch import Batch
from reasoning_train.packing.rows import Row


@dataclass
class Outputs:
    """One forward pass over a batch (shapes: packing/batch.py)."""

    batch: Batch
    logprobs: Tensor
    """[P] log-probability of the token of every trace that has a weight."""
    raw: Tensor
    """[V] the head's scores where values are read, before its activation."""
    head: Any = None
    """The ValueHead, whose `activation` turns scores into values."""

    @cached_property
    def trace_logprobs(self) -> Tensor:
        """[N] weighted sum over each trace."""
        return self._by_trace(self.logprobs * self.batch["token_weight"])

    @cached_property
    def trace_tokens(self) -> Tensor:
        """[N] weight sum of each trace, at least 1e-9."""
        return self._by_trace(self.batch["token_weight"]).clamp_min(1e-9)

    @cached_property
    def trace_scores(self) -> Tensor:
        """[N] the score at the last place where each trace is read; 0 where it is not."""
        trace = self.batch["value_trace"]  # ascending
        last = torch.ones_like(trace, dtype=torch.bool)
        last[:-1] = trace[1:] != trace[:-1]
        return self.raw.new_zeros(len(self.batch["trace_row"])).index_add(0, trace[last], self.raw[last])

    def _by_trace(self, values: Tensor) -> Tensor:
        return values.new_zeros(len(self.batch["trace_row"])).index_add(0, self.batch["token_trace"], values)


class Loss(Protocol):
    """One named term of a training's objective."""

    @property
    def name(self) -> str:
        """In curves and logs."""

    @property
    def factor(self) -> float:
        """What the term's mean is multiplied by."""

    def normalizer(self, row: Row) -> float:
        """The row's share of the weight that the term is divided by."""

    def __call__(self, out: Outputs) -> Tensor:
        """The weighted sum over the batch, a scalar."""

    @property
    def watched(self) -> tuple[str, ...]:
        """Figures that stand beside the loss in curves."""

    def watch(self, out: Outputs) -> tuple[Tensor, ...]:
        """Their weighted sums over the batch, to be divided as the loss is."""
