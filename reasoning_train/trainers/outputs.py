"""What losses read from a forward pass. P: tokens that carry weight, over all traces; V: positions where the head is
read; N: traces; K: rows, or ids of a column; H: the hidden size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from reasoning_train.packing.batch import Batch


@dataclass
class Outputs:
    """One forward pass over a batch (shapes: packing/batch.py).

    Shared tokens are computed once but appear here once per trace, so that a sum over P or V is the same for a packed
    tree as for separate traces.
    """

    batch: Batch
    logprobs: Tensor
    """[P] log-probability of every token that carries weight, trace by trace."""
    raw: Tensor
    """[V] the head's scores before its activation, where values are read."""
    head: Any = None
    """The ValueHead, whose `activate` turns scores into values."""
    read: Mapping[str, Tensor] = field(default_factory=dict)
    """Further results that losses need, one entry per prediction (see `trainers/logprobs.py`)."""
    states: Mapping[int, Tensor] = field(default_factory=dict)
    """Layer -> its hidden states at all columns of the batch [B * T, H]."""

    @cached_property
    def trace_logprobs(self) -> Tensor:
        """[N] weighted sum of log-probabilities of each trace."""
        return self._by_trace(self.logprobs * self.batch["token_weight"])

    @cached_property
    def trace_tokens(self) -> Tensor:
        """[N] sum of token weights of each trace, at least 1e-9."""
        return self._by_trace(self.batch["token_weight"]).clamp_min(1e-9)

    @cached_property
    def trace_scores(self) -> Tensor:
        """[N] the score at the last position where each trace is read; 0 if it is not read."""
        trace = self.batch["value_trace"]  # ascending
        last = torch.ones_like(trace, dtype=torch.bool)
        last[:-1] = trace[1:] != trace[:-1]
        return self.raw.new_zeros(len(self.batch["trace_row"])).index_add(0, trace[last], self.raw[last])

    def column(self, name: str) -> Tensor:
        """[P] or [P, K] entries of a column of the traces, for every token that carries weight."""
        none = self.logprobs.new_zeros(0, 1)
        return self.batch[f"column.{name}"] if len(self.logprobs) else self.batch.get(f"column.{name}", none)

    @property
    def entropy(self) -> Tensor:
        """[P] entropy of the distribution that predicts the token, in nats (`Needs(entropy=True)`)."""
        return self._needed("entropy")

    def logprobs_of(self, name: str) -> Tensor:
        """[P, K] log-probabilities of the ids in a column where the token is predicted (`Needs(ids=(name,))`)."""
        return self._needed(f"ids.{name}")

    def top(self, k: int) -> tuple[Tensor, Tensor]:
        """[P, k], [P, k] ids and log-probabilities of the k likeliest tokens where the token is predicted, likeliest
        first (`Needs(top=k)`)."""
        return self._needed("top.ids")[:, :k], self._needed("top.logprobs")[:, :k]

    def hidden(self, layer: int, at: Literal["tokens", "values"] = "tokens") -> Tensor:
        """[P, H] hidden states of a layer where each token is predicted (one column before it), or [V, H] where values
        are read (`Needs(layers=(layer,))`)."""
        if layer not in self.states:
            raise KeyError(f"no loss asked for the states of layer {layer}; name it in `needs`")
        states = self.states[layer]
        if at == "values":
            return states[self.batch["read_at"]][self.batch["value"]]
        return states[self.batch["predict_at"]][self.batch["token"]]

    def _needed(self, name: str) -> Tensor:
        if name not in self.read:
            raise KeyError(f"no loss asked for {name!r}; name it in `needs`")
        return self.read[name][self.batch["token"]]

    def _by_trace(self, values: Tensor) -> Tensor:
        return values.new_zeros(len(self.batch["trace_row"])).index_add(0, self.batch["token_trace"], values)
