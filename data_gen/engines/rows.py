"""What the decoder knows of each row beside its keys and values, on the host: positions, limits, settings, results.

All of it is a handful of numpy arrays over slots, so that a step costs the same few vector operations whatever the width,
and the device is waited for once a step (for the sampled ids and log-probs).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from data_gen.engines.base import Request, Sample, Sampling
from data_gen.engines.drawing import uniforms


@dataclass(slots=True, eq=False)
class Ticket:
    """A request on its way through the decoder, with the samples that have come back."""

    request: Request
    samples: list[Sample | None] = field(init=False)
    missing: int = field(init=False)
    cancelled: bool = False

    def __post_init__(self) -> None:
        self.missing = len(self.request.seeds)
        self.samples = [None] * self.missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One continuation to sample: its place in its request, its last prefix token and what ends it."""

    ticket: Ticket
    """The request it belongs to."""
    index: int
    """Which of the request's samples it is."""
    last_id: int
    column: int
    """Prefix tokens already in the cache: all but the last."""
    limit: int
    """Most tokens it may get: `max_tokens` or what the context leaves."""
    sampling: Sampling
    stop_set: int
    seed: int

    @property
    def end(self) -> int:
        """Columns that the row may come to fill."""
        return self.column + self.limit


class RowTable:
    """Arrays `[slots]` (results and uniform numbers `[slots, horizon]`), rows 0..active-1 in use."""

    def __init__(self, slots: int) -> None:
        self.slots, self.active = slots, 0
        self.rows: list[Row] = []
        self.ids, self.columns, self.steps, self.limits, self.stop_sets = (np.zeros(slots, np.int64) for _ in range(5))
        self.temperature, self.top_p = (np.zeros(slots, np.float32), np.ones(slots, np.float32))
        self.uniform, self.tokens, self.logprobs = (np.zeros((slots, 0)), np.zeros((slots, 0), np.int32), np.zeros((slots, 0), np.float32))

    def append(self, rows: Sequence[Row]) -> None:
        """Rows take the slots after the active ones, in order."""
        first, last = self.active, self.active + len(rows)
        self._widen(max(row.limit for row in rows))
        self.ids[first:last] = [row.last_id for row in rows]
        self.columns[first:last] = [row.column for row in rows]
        self.limits[first:last] = [row.limit for row in rows]
        self.stop_sets[first:last] = [row.stop_set for row in rows]
        self.temperature[first:last] = [row.sampling.temperature for row in rows]
        self.top_p[first:last] = [row.sampling.top_p for row in rows]
        self.steps[first:last] = 0
        for slot, row in enumerate(rows, first):
            if row.sampling.temperature > 0:
                self.uniform[slot, : row.limit] = uniforms(row.seed, row.limit)
        self.rows += rows
        self.active = last

    def longest(self) -> int:
        """Columns that the longest active row may come to fill; 0 without one."""
        active = slice(self.active)
        return int((self.columns[active] - self.steps[active] + self.limits[active]).max(initial=0))

    def record(self, ids: np.ndarray, logprobs: np.ndarray) -> None:
        """One step's results of the active rows: they become each row's next input."""
        active, index = self.active, np.arange(self.active)
        self.tokens[index, self.steps[:active]] = ids
        self.logprobs[index, self.steps[:active]] = logprobs
        self.ids[:active] = ids
        self.steps[:active] += 1
        self.columns[:active] += 1

    def sample(self, slot: int, stopped: bool) -> Sample:
        """The finished row's continuation."""
        n = self.steps[slot]
        ids, logprobs = self.tokens[slot, :n].tolist(), self.logprobs[slot, :n].tolist()
        return Sample(token_ids=tuple(ids), logprobs=tuple(logprobs), finish="stop" if stopped else "length")

    def release(self, freed: Sequence[int]) -> tuple[list[int], list[int]]:
        """Give slots back; the last active rows move into the holes. Returns (sources, targets) of the moves."""
        kept = self.active - len(freed)
        gone = set(freed)
        targets = sorted(slot for slot in gone if slot < kept)
        sources = [slot for slot in range(kept, self.active) if slot not in gone]
        for array in self._arrays():
            array[targets] = array[sources]
        for source, target in zip(sources, targets, strict=True):
            self.rows[target] = self.rows[source]
        del self.rows[kept:]
        self.columns[kept : self.active] = 0
        self.active = kept
        return sources, targets

    def _arrays(self) -> tuple[np.ndarray[Any, Any], ...]:
        vectors = (self.ids, self.columns, self.steps, self.limits, self.stop_sets, self.temperature, self.top_p)
        return (*vectors, self.uniform, self.tokens, self.logprobs)

    def _widen(self, horizon: int) -> None:
        extra = ((0, 0), (0, max(0, horizon - self.uniform.shape[1])))
        if extra[1][1]:
            self.uniform, self.tokens, self.logprobs = np.pad(self.uniform, extra), np.pad(self.tokens, extra), np.pad(self.logprobs, extra)
