"""Training rows: tokenised traces with weights, value targets and further columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Trace:
    """One whole sequence. A prompt of two tokens and a completion of two with a value at its end:
    `Trace(ids=(5, 9, 4, 1), weights=(0.0, 0.0, 1.0, 1.0), at=(3,), targets=(1.0,), target_weights=(1.0,))`.
    """

    ids: tuple[int, ...]
    weights: tuple[float, ...]
    """Loss weight of each token in `ids`, 0 for the prompt. The first token is never predicted."""
    at: tuple[int, ...] = ()
    """Indices into `ids` at which a value is read."""
    targets: tuple[float, ...] = ()
    """Target value at each index in `at`; empty for losses that compare traces."""
    target_weights: tuple[float, ...] = ()
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict, hash=False)
    """Further data that losses read at each token: name -> one entry per token, each a number or a tuple of fixed
    length. Integers are token ids. Entries are read only where a token carries weight. A teacher's two likeliest
    tokens: `{"teacher_ids": ((0, 0), (0, 0), (4, 7), (1, 3))}`."""

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Row:
    """The unit of the batch size: one solution, a pair (the better one first), or a group of solutions to compare.

    `Row((chosen, rejected), reference=(-3.2, -2.9), smoothing=0.1)`
    """

    traces: tuple[Trace, ...]
    weight: float = 1.0
    """Weight of the whole row in losses that compare its traces."""
    reference: tuple[float, ...] = ()
    """The reference model's log-probability of each trace, weighted by `weights`."""
    smoothing: float = 0.0
    """Probability that the order of a pair is wrong."""
    ranks: tuple[float, ...] = ()
    """Quality of each trace of a group; traces with equal ranks are not compared."""
    group: str = ""
    """Rows of one group begin alike, such as siblings of one tree. Tree packing stores the shared tokens once."""

    @property
    def trained_tokens(self) -> float:
        """Number of tokens that carry a language-model loss, by weight."""
        return sum(sum(trace.weights) for trace in self.traces)

    @property
    def tokens(self) -> int:
        """Number of tokens of all traces; shared tokens count once per trace."""
        return sum(len(trace) for trace in self.traces)
