"""Per-row state of the decoder besides keys and values, on the host: positions, limits, settings, results.

It is a handful of numpy arrays over slots. A step costs the same few vector operations whatever the width, and waits
for the device once (for the sampled ids and log-probabilities).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from data_gen.engines.base import Request, Sample
from data_gen.engines.local.drawing import uniforms
from data_gen.engines.local.prefixes import Decoded, PrefixPath


@dataclass(slots=True, eq=False)
class Ticket:
    """A request in the decoder, with the samples that have finished."""

    request: Request
    path: PrefixPath
    limit: int
    """Most tokens per sample: `max_tokens` or what the context leaves."""
    stop_set: int
    samples: list[Sample | None] = field(init=False)
    missing: int = field(init=False)
    placed: int = 0
    """Rows that have slots."""
    cancelled: bool = False

    def __post_init__(self) -> None:
        self.missing = len(self.request.seeds)
        self.samples = [None] * self.missing

    @property
    def unplaced(self) -> int:
        """Rows that have no slot yet."""
        return len(self.samples) - self.placed


class DecodedRow(NamedTuple):
    """The ticket and the sample that a slot works on."""

    ticket: Ticket
    sample: int
    """`REPLAY` for a row that recomputes evicted parts of the ticket's path."""
    start: int
    """Columns that were filled when the row was placed."""
    first_id: int
    """The token fed first."""


REPLAY = -1
NOWHERE = DecodedRow(None, 0, 0, 0)  # type: ignore[arg-type]
"""Placeholder of slots without a row."""


class RowTable:
    """Arrays `[slots]` (results and uniform numbers `[slots, horizon]`). Rows occupy 0..high-1, except for the free
    `holes`."""

    def __init__(self, slots: int) -> None:
        self.slots, self.high = slots, 0
        self.holes: list[int] = []
        self.rows = [NOWHERE] * slots
        self.ids, self.columns, self.steps, self.limits, self.stop_sets, self.ends = (
            np.zeros(slots, np.int64) for _ in range(6)
        )
        self.temperature, self.top_p = (np.zeros(slots, np.float32), np.ones(slots, np.float32))
        self.replayed, self.closing, self.stopped = (np.zeros(slots, bool) for _ in range(3))
        self.uniform, self.tokens, self.logprobs = (
            np.zeros((slots, 0)),
            np.zeros((slots, 0), np.int64),
            np.zeros((slots, 0), np.float32),
        )

    @property
    def active(self) -> int:
        """Number of active rows."""
        return self.high - len(self.holes)

    def place(self, ticket: Ticket, count: int) -> np.ndarray:
        """Puts the ticket's next `count` samples into free slots, the lowest first. Returns these."""
        slots = self._take(count)
        request, column = ticket.request, len(ticket.path.ids)
        self._set(slots, request.prefix[-1], column, ticket.limit)
        self.stop_sets[slots] = ticket.stop_set
        self.temperature[slots], self.top_p[slots] = request.sampling.temperature, request.sampling.top_p
        for index, slot in enumerate(slots.tolist(), ticket.placed):
            self.rows[slot] = DecodedRow(ticket, index, column, request.prefix[-1])
            if request.sampling.temperature > 0:
                self.uniform[slot, : ticket.limit] = uniforms(request.seeds[index], ticket.limit)
        ticket.placed += count
        return slots

    def place_replay(self, ticket: Ticket) -> np.ndarray:
        """A row that is fed the missing ids of the ticket's path. Its draws are discarded."""
        slots = self._take(1)
        column = ticket.path.node.length
        fed = (*ticket.path.missing, ticket.request.prefix[-1])
        self._set(slots, fed[0], column, len(fed) - 1)
        self.temperature[slots], self.top_p[slots], self.replayed[slots] = 0, 1, True
        self.tokens[slots, : len(fed) - 1] = fed[1:]
        self.rows[slots[0]] = DecodedRow(ticket, REPLAY, column, fed[0])
        return slots

    def record(self, ids: np.ndarray, logprobs: np.ndarray) -> int:
        """One step's results of the rows, which become each row's next input. Returns how many were sampled."""
        index, steps = np.arange(self.high), self.steps[: self.high]
        ids = np.where(self.replayed[: self.high], self.tokens[index, steps], ids)
        self.tokens[index, steps] = ids
        self.logprobs[index, steps] = logprobs
        self.ids[: self.high] = ids
        steps += ~self.closing[: self.high]
        self.columns[: self.high] += 1
        return int((~(self.replayed | self.closing)[: self.high]).sum())

    def sample(self, slot: int, value: float | None) -> Sample:
        """The finished row's continuation."""
        n = self.steps[slot]
        ids, logprobs = self.tokens[slot, :n].tolist(), self.logprobs[slot, :n].tolist()
        return Sample(
            token_ids=tuple(ids),
            logprobs=tuple(logprobs),
            finish="stop" if self.stopped[slot] else "length",
            value=value,
        )

    def decoded(self, slot: int) -> Decoded:
        """The ids whose keys and values the row has computed."""
        row = self.rows[slot]
        fed = int(self.columns[slot]) - row.start
        return Decoded(row.ticket.path, row.start, (row.first_id, *self.tokens[slot, : fed - 1].tolist()), slot)

    def vacate(self, slots: Sequence[int]) -> None:
        """Free slots. Their rows are computed without use until `close_gaps` or a new row takes the place."""
        for slot in slots:
            self.rows[slot] = NOWHERE
        self.ends[list(slots)] = 0
        self.holes += slots

    def close_gaps(self) -> tuple[list[int], list[int]]:
        """Move the last rows into the holes. Returns (sources, targets) of the moves."""
        kept, gone = self.active, set(self.holes)
        targets = sorted(slot for slot in gone if slot < kept)
        sources = [slot for slot in range(kept, self.high) if slot not in gone]
        for array in self._arrays():
            array[targets] = array[sources]
        for source, target in zip(sources, targets, strict=True):
            self.rows[target], self.rows[source] = self.rows[source], NOWHERE
        self.columns[kept : self.high] = 0
        self.holes, self.high = [], kept
        return sources, targets

    def longest(self) -> int:
        """Columns that the longest row may come to fill. 0 if there are no rows."""
        return int(self.ends[: self.high].max(initial=0)) if self.active else 0

    def _take(self, count: int) -> np.ndarray:
        self.holes.sort()
        holes, self.holes = self.holes[:count], self.holes[count:]
        fresh = count - len(holes)
        self.high += fresh
        return np.array([*holes, *range(self.high - fresh, self.high)])

    def _set(self, slots: np.ndarray, first_id: int, column: int, limit: int) -> None:
        self._widen(limit + 1)
        self.ids[slots], self.columns[slots], self.limits[slots], self.ends[slots] = (
            first_id,
            column,
            limit,
            column + limit + 1,
        )
        self.steps[slots], self.replayed[slots], self.closing[slots], self.stopped[slots] = 0, False, False, False

    def _arrays(self) -> tuple[np.ndarray[Any, Any], ...]:
        vectors = (
            self.ids,
            self.columns,
            self.steps,
            self.limits,
            self.stop_sets,
            self.ends,
            self.temperature,
            self.top_p,
        )
        return (*vectors, self.replayed, self.closing, self.stopped, self.uniform, self.tokens, self.logprobs)

    def _widen(self, horizon: int) -> None:
        extra = ((0, 0), (0, max(0, horizon - self.uniform.shape[1])))
        if extra[1][1]:
            self.uniform, self.tokens, self.logprobs = (
                np.pad(self.uniform, extra),
                np.pad(self.tokens, extra),
                np.pad(self.logprobs, extra),
            )
