"""What training is fed: rows of traces, tokenised, with what is learnt along each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Trace:
    """One whole sequence, from its first token on, e.g. a prompt of two tokens and a completion of two with a value at
    its end: `Trace(ids=(5, 9, 4, 1), weights=(0.0, 0.0, 1.0, 1.0), at=(3,), targets=(1.0,), target_weights=(1.0,))`.
    """

    ids: tuple[int, ...]
    weights: tuple[float, ...]
    """Weight of predicting each token, as long as `ids`: 0 for the prompt. The first token is never predicted."""
    at: tuple[int, ...] = ()
    """Indices into `ids` at which a value is read."""
    targets: tuple[float, ...] = ()
    """What the value should be at each of `at`; empty where losses compare traces and there is no target."""
    target_weights: tuple[float, ...] = ()
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """What losses read at each token beside its id: by name as many entries as `ids`, each a number or a tuple of as
    many numbers as the others; whole numbers are ids. Read only where a token carries weight. A teacher's two likeliest
    tokens: `{"teacher_ids": ((0, 0), (0, 0), (4, 7), (1, 3))}`."""

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Row:
    """What a batch is counted in: one solution, a pair (the better one first), or a group of solutions that are
    compared.

    `Row((chosen, rejected), reference=(-3.2, -2.9), smoothing=0.1)`
    """

    traces: tuple[Trace, ...]
    weight: float = 1.0
    """Weight of the row as a whole, in losses that compare its traces."""
    reference: tuple[float, ...] = ()
    """The reference's log-probability of each trace, weighted as `weights` say."""
    smoothing: float = 0.0
    """Probability that the order of a pair is the wrong one."""
    ranks: tuple[float, ...] = ()
    """How good each trace of a compared group is; equal ones are not compared."""
    group: str = ""
    """Rows of one group begin alike, e.g. siblings of one tree; tree packing stores what they share once."""

    @property
    def trained_tokens(self) -> float:
        """Tokens that a language loss falls on, by weight."""
        return sum(sum(trace.weights) for trace in self.traces)

    @property
    def tokens(self) -> int:
        """Tokens of all traces, shared ones counted each time."""
        return sum(len(trace) for trace in self.traces)
