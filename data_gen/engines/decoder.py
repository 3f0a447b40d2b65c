"""Continuous batching over a causal LM: admit, step, release. Synchronous; the engine decides when.

A prefix is prefilled up to its last token, once for all its samples; each sample then enters the decode batch with that last
token as input, so every sampled id comes from one code path. Prefilled prefixes wait outside the slots until rows become free.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data_gen.engines.base import Usage
from data_gen.engines.drawing import draw
from data_gen.engines.rows import Row, RowTable, Ticket
from data_gen.engines.slot_cache import SlotCache, round_up
from data_gen.engines.stop import END, MAYBE, StopTable

PREFILL_ROWS = 64
"""Requests prefilled at once, sorted by length: enough to fill the machine, few enough to hold their keys and values."""
PREFILL_TOKENS = 4096
"""Padded tokens in one prefill forward."""


@dataclass(frozen=True, slots=True)
class _Prefilled:
    """Keys and values of a prefill batch, per layer `[rows, heads, length, dim]`, and the row that a sample starts from."""

    layers: list[tuple[Tensor, Tensor]]
    row: int


class Decoder:
    """Rows in slots over one model. `submit` requests, call `step` until not `busy`; it returns the tickets that are complete."""

    def __init__(self, model: Any, stops: StopTable, usage: Usage, *, slots: int, kv_columns: int, row_block: int) -> None:
        self.model, self.stops, self.usage = model, stops, usage
        self.kv_columns, self.row_block, self.device = kv_columns, row_block, model.device
        self.context: int = model.config.max_position_embeddings
        self.table = RowTable(slots)
        self.cache = SlotCache(model.config, model.dtype, model.device)
        self._waiting: deque[Ticket] = deque()
        self._ready: deque[tuple[Row, _Prefilled]] = deque()
        self._settings: tuple[Tensor | None, Tensor | None] | None = None

    @property
    def busy(self) -> bool:
        """Whether anything is waiting or decoding."""
        return bool(self._waiting or self._ready or self.table.active)

    def submit(self, ticket: Ticket) -> None:
        """Queue a request; its rows are admitted as slots become free, first come first served within a prefill window."""
        self._waiting.append(ticket)

    @torch.inference_mode()
    def step(self) -> list[Ticket]:
        """Admit what fits, decode one token a row, and return the requests that this completed."""
        self._admit()
        table = self.table
        if not table.active:
            return []
        ids, logprobs = self._decode()
        table.record(ids, logprobs)
        self.usage.generated_tokens += table.active
        return self._finish(ids)

    def drop_cancelled(self) -> None:
        """Free the rows and places of requests that nobody waits for any more."""
        self._waiting = deque(t for t in self._waiting if not t.cancelled)
        self._ready = deque(entry for entry in self._ready if not entry[0].ticket.cancelled)
        self._release([slot for slot, row in enumerate(self.table.rows) if row.ticket.cancelled])

    def clear(self) -> None:
        """Give up everything (after a failed step)."""
        self._waiting.clear()
        self._ready.clear()
        self._release(list(range(self.table.active)))

    def _admit(self) -> None:
        while self._ready or self._waiting:
            if not self._ready:
                self._prefill_window()
            batch = self._fitting()
            if not batch:
                return
            self._place(batch)

    def _fitting(self) -> list[tuple[Row, _Prefilled]]:
        """The next ready rows that fit: into the slots, and into the memory if every row grew to the longest one's limit."""
        active, batch = self.table.active, []
        longest = self.table.longest()
        while self._ready and active < self.table.slots:
            longest = max(longest, self._ready[0][0].end)
            if active and (active + 1) * longest > self.kv_columns:
                break
            batch.append(self._ready.popleft())
            active += 1
        return batch

    def _place(self, batch: Sequence[tuple[Row, _Prefilled]]) -> None:
        first = self.table.active
        by_prefill: dict[int, list[int]] = {}
        for i, (_, prefilled) in enumerate(batch):
            by_prefill.setdefault(id(prefilled.layers), []).append(i)
        for members in by_prefill.values():
            layers = batch[members[0]][1].layers
            if layers:
                self.cache.reserve(first + len(batch), layers[0][0].shape[2])
                slots = torch.tensor([first + i for i in members], device=self.device)
                self.cache.write(slots, layers, torch.tensor([batch[i][1].row for i in members], device=self.device))
        self.table.append([row for row, _ in batch])
        self._settings = None

    def _prefill_window(self) -> None:
        """Prefill the next requests in batches of like length; their samples become ready in the order of the batches."""
        window = [self._waiting.popleft() for _ in range(min(PREFILL_ROWS, len(self._waiting)))]
        window.sort(key=lambda ticket: len(ticket.request.prefix))
        batch: list[Ticket] = []
        for ticket in window:
            width = round_up(len(ticket.request.prefix) - 1)
            if batch and (width != round_up(len(batch[-1].request.prefix) - 1) or width * len(batch) >= PREFILL_TOKENS):
                self._prefill(batch)
                batch = []
            batch.append(ticket)
        self._prefill(batch)

    def _prefill(self, batch: Sequence[Ticket]) -> None:
        """Causal attention keeps right padding out of every real position, so no mask is needed."""
        from transformers import DynamicCache

        prefixes = [ticket.request.prefix for ticket in batch]
        width = round_up(max(map(len, prefixes)) - 1)
        cache = DynamicCache()
        if width:
            ids = np.zeros((round_up(len(batch), self.row_block), width), np.int64)
            for row, prefix in enumerate(prefixes):
                ids[row, : len(prefix) - 1] = prefix[:-1]
            self.model(input_ids=torch.from_numpy(ids).to(self.device), past_key_values=cache, use_cache=True, logits_to_keep=1)
        layers: list[tuple[Tensor, Tensor]] = [(layer.keys, layer.values) for layer in cache.layers]  # type: ignore[union-attr, misc]
        for row, ticket in enumerate(batch):
            self._enqueue(ticket, _Prefilled(layers, row))

    def _enqueue(self, ticket: Ticket, prefilled: _Prefilled) -> None:
        prefix, sampling = ticket.request.prefix, ticket.request.sampling
        self.usage.requests += 1
        self.usage.prompt_tokens += len(prefix)
        stop_set = self.stops.index(sampling.stop)
        limit = min(sampling.max_tokens, self.context - len(prefix))
        for index, seed in enumerate(ticket.request.seeds):
            row = Row(ticket=ticket, index=index, last_id=prefix[-1], column=len(prefix) - 1, limit=limit, sampling=sampling,
                      stop_set=stop_set, seed=seed)  # fmt: skip
            self._ready.append((row, prefilled))

    def _decode(self) -> tuple[np.ndarray, np.ndarray]:
        """One forward of all active rows; sampled ids and their log-probs, on the host."""
        table, active = self.table, self.table.active
        rows = round_up(active, self.row_block)
        columns = round_up(int(table.columns[:rows].max()) + 1)
        self.cache.reserve(rows, columns)
        positions = torch.from_numpy(table.columns[:rows].copy()).to(self.device)
        self.cache.aim(positions, columns)
        hidden = torch.arange(columns, device=self.device) > positions[:, None]
        mask = torch.zeros(rows, columns, dtype=self.model.dtype, device=self.device).masked_fill_(hidden, float("-inf"))
        ids = torch.from_numpy(table.ids[:rows, None].copy()).to(self.device)
        logits = self.model(
            input_ids=ids, attention_mask=mask[:, None, None], position_ids=positions[:, None], past_key_values=self.cache, use_cache=True
        ).logits[:, -1]
        temperature, top_p = self._row_settings(rows)
        uniform = torch.from_numpy(table.uniform[np.arange(rows), np.minimum(table.steps[:rows], table.uniform.shape[1] - 1)]).to(
            self.device
        )
        drawn, logprobs = draw(logits, uniform, temperature, top_p)
        return drawn[:active].cpu().numpy(), logprobs[:active].cpu().numpy()

    def _row_settings(self, rows: int) -> tuple[Tensor | None, Tensor | None]:
        """Temperature and top-p of the first rows on the device (None where no row needs them), kept until a row comes or goes."""
        if self._settings is None:
            temperature, top_p = self.table.temperature[:rows], self.table.top_p[:rows]
            self._settings = (
                torch.tensor(temperature, device=self.device) if (temperature > 0).any() else None,
                torch.tensor(top_p, device=self.device) if (top_p < 1).any() else None,
            )
        return self._settings

    def _finish(self, ids: np.ndarray) -> list[Ticket]:
        table, active = self.table, self.table.active
        marks = self.stops.marks[table.stop_sets[:active], ids]
        at_limit = table.steps[:active] >= table.limits[:active]
        freed, complete = [], []
        for slot in np.flatnonzero(marks.astype(bool) | at_limit).tolist():
            stopped = marks[slot] == END or (marks[slot] == MAYBE and self._completes_stop(slot))
            if not (stopped or at_limit[slot]):
                continue
            freed.append(slot)
            row = table.rows[slot]
            row.ticket.samples[row.index] = table.sample(slot, stopped)
            row.ticket.missing -= 1
            self.usage.samples += 1
            if not row.ticket.missing:
                complete.append(row.ticket)
        self._release(freed)
        return complete

    def _completes_stop(self, slot: int) -> bool:
        table = self.table
        return self.stops.completes(table.tokens[slot, : table.steps[slot]].tolist(), table.rows[slot].sampling.stop)

    def _release(self, freed: Sequence[int]) -> None:
        if not freed:
            return
        sources, targets = self.table.release(freed)
        if sources:
            columns = int(self.table.columns[targets].max())
            self.cache.move(torch.tensor(sources, device=self.device), torch.tensor(targets, device=self.device), columns)
        self._settings = None
