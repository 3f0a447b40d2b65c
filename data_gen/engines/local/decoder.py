"""Continuous batching over a causal LM: admit, step, release. It is synchronous; the engine decides when to step.

The keys and values of a request's prefix, up to its last token, are copied from the store (prefixes.py) into the slots
of its samples. Each sample then enters the decode batch with that last token as input, so every sampled id comes from
one code path. Keys and values of finished rows return to the store, for requests that continue them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data_gen.engines.base import Request, Usage
from data_gen.engines.local.drawing import draw
from data_gen.engines.local.prefixes import Prefixes, causal_mask
from data_gen.engines.local.rows import NOWHERE, REPLAY, RowTable, Ticket
from data_gen.engines.local.slot_cache import SlotCache, exact_columns, round_up
from data_gen.engines.local.stop import END, GO_ON, MAYBE, StopTable
from data_gen.models.context import context_length

WINDOW = 64
"""Number of requests whose prefixes are looked up or prefilled at once: enough to fill the machine, few enough to hold
their keys and values."""

Head = Callable[[Tensor], Tensor]
"""Last hidden states `[rows, hidden]` -> values `[rows]`."""


class Decoder:
    """Rows in slots over one model. `submit` requests and call `step` until not `busy`; it returns the completed
    tickets."""

    def __init__(
        self,
        model: Any,
        stops: StopTable,
        usage: Usage,
        prefixes: Prefixes,
        *,
        slots: int,
        kv_columns: int,
        row_block: int,
        head: Head | None,
    ) -> None:
        self.model, self.stops, self.usage, self.prefixes, self.head = model, stops, usage, prefixes, head
        self.kv_columns, self.row_block, self.device = kv_columns, row_block, model.device
        self.context = context_length(model.config)
        # The query heads that share a key-value head are the rows of one product.
        heads = model.config.get_text_config(decoder=True).num_attention_heads
        grouped = heads // min(shape.heads for shape in prefixes.shapes)
        self._columns = exact_columns if prefixes.exact and grouped >= 4 else round_up
        self.table = RowTable(slots)
        self.cache = SlotCache(prefixes.shapes, model.dtype, model.device, kv_columns)
        self._waiting: deque[Ticket] = deque()
        self._ready: deque[Ticket] = deque()
        self._settings: tuple[Tensor | None, Tensor | None] | None = None

    @property
    def busy(self) -> bool:
        """Whether anything is waiting or decoding."""
        return bool(self._waiting or self._ready or self.table.active)

    def submit(self, request: Request, owner: int | None) -> Ticket:
        """Queue a request. Its rows are admitted as slots become free, first come first served."""
        self.usage.requests += 1
        self.usage.prompt_tokens += len(request.prefix)
        path = self.prefixes.path(request.prefix, request.prompt_length, owner)
        limit = min(request.sampling.max_tokens, self.context - len(request.prefix))
        ticket = Ticket(request, path, limit, self.stops.index(request.sampling.stop))
        self._waiting.append(ticket)
        return ticket

    @torch.inference_mode()
    def step(self) -> list[Ticket]:
        """Admit what fits, decode one token per row, and return the requests that this completed."""
        self._admit()
        self._close_gaps()
        if not self.table.active:
            return []
        ids, logprobs, values = self._decode()
        self.usage.generated_tokens += self.table.record(ids, logprobs)
        return self._finish(values)

    def drop_cancelled(self) -> None:
        """Free the rows and places of requests that were abandoned."""
        self._waiting = deque(t for t in self._waiting if not t.cancelled)
        for ticket in self._ready:
            if ticket.cancelled:
                self.prefixes.drop(ticket.path)
        self._ready = deque(t for t in self._ready if not t.cancelled)
        self.table.vacate(
            [slot for slot, row in enumerate(self.table.rows) if row is not NOWHERE and row.ticket.cancelled]
        )

    def clear(self) -> None:
        """Discard everything (after a failed step)."""
        for ticket in [*self._waiting, *self._ready, *(row.ticket for row in self.table.rows if row is not NOWHERE)]:
            ticket.cancelled = True
        self.drop_cancelled()

    def _admit(self) -> None:
        while self._ready or self._waiting:
            if not self._ready:
                self._prepare()
            if not self._place():
                return

    def _prepare(self) -> None:
        """Put the prefixes of the next requests into the store, as many as it has room for."""
        window = [self._waiting.popleft() for _ in range(min(WINDOW, len(self._waiting)))]
        taken = self.prefixes.admit([ticket.path for ticket in window])
        self._ready.extend(window[:taken])
        self._waiting.extendleft(reversed(window[taken:]))

    def _place(self) -> bool:
        """Give slots to the next ready rows. Returns whether any fitted."""
        tickets, slots = [], []
        while self._ready:
            ticket = self._ready[0]
            replay = bool(ticket.path.missing)
            count = min(self._fitting(ticket), 1 if replay else ticket.unplaced)
            if not count:
                break
            if not (replay or ticket.placed):
                self.usage.cached_tokens += ticket.path.cached
            tickets.append(ticket)
            slots.append(self.table.place_replay(ticket) if replay else self.table.place(ticket, count))
            if replay or not ticket.unplaced:
                self._ready.popleft()
        if tickets:
            self._load(tickets, slots)
        return bool(tickets)

    def _fitting(self, ticket: Ticket) -> int:
        """How many of its rows fit into the slots, and into the memory if every row grew to the longest one's limit."""
        longest = max(self.table.longest(), len(ticket.path.ids) + ticket.limit + 1)
        active = self.table.active
        return min(self.table.slots - active, max(self.kv_columns // longest - active, 0 if active else 1))

    def _load(self, tickets: Sequence[Ticket], slots: Sequence[np.ndarray]) -> None:
        self.cache.reserve(self.table.high, max(len(ticket.path.ids) for ticket in tickets))
        self.prefixes.load([ticket.path for ticket in tickets], slots, self.cache)
        for ticket in tickets:
            if ticket.path.missing or not ticket.unplaced:
                self.prefixes.drop(ticket.path)
        self._settings = None

    def _close_gaps(self) -> None:
        if not self.table.holes:
            return
        sources, targets = self.table.close_gaps()
        if sources:
            columns = int(self.table.columns[targets].max())
            self.cache.move(
                torch.tensor(sources, device=self.device), torch.tensor(targets, device=self.device), columns
            )
        self._settings = None

    def _decode(self) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """One forward of all rows. Returns, on the host, sampled ids, their log-probabilities and, if a row waits for
        them, the fed tokens' values."""
        table, active = self.table, self.table.active
        rows = round_up(active, self.row_block)
        columns = self._columns(int(table.columns[:rows].max()) + 1)
        self.cache.reserve(rows, columns)
        positions = torch.from_numpy(table.columns[:rows, None].copy()).to(self.device)
        self.cache.aim(positions, columns)
        mask = causal_mask(self.model, positions, columns)
        ids = torch.from_numpy(table.ids[:rows, None].copy()).to(self.device)
        logits, values = self._forward(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=self.cache
        )
        temperature, top_p = self._row_settings(rows)
        uniform = table.uniform[np.arange(rows), np.minimum(table.steps[:rows], table.uniform.shape[1] - 1)]
        drawn, logprobs = draw(logits, torch.from_numpy(uniform).to(self.device), temperature, top_p)
        return drawn[:active].cpu().numpy(), logprobs[:active].cpu().numpy(), values

    def _forward(self, **inputs: Any) -> tuple[Tensor, np.ndarray | None]:
        """Logits `[rows, vocabulary]` and, if a row waits for its value, all rows' values."""
        if not self.table.closing[: self.table.active].any():
            return self.model(**inputs, use_cache=True).logits[:, -1], None
        with last_hidden(self.model) as hidden:
            logits = self.model(**inputs, use_cache=True).logits[:, -1]
        assert self.head is not None
        return logits, self.head(hidden[0][:, -1]).cpu().numpy()

    def _row_settings(self, rows: int) -> tuple[Tensor | None, Tensor | None]:
        """Temperature and top-p of the first rows on the device (None if no row needs them), cached until a row comes
        or goes."""
        if self._settings is None:
            temperature, top_p = self.table.temperature[:rows], self.table.top_p[:rows]
            self._settings = (
                torch.tensor(temperature, device=self.device) if (temperature > 0).any() else None,
                torch.tensor(top_p, device=self.device) if (top_p < 1).any() else None,
            )
        return self._settings

    def _finish(self, values: np.ndarray | None) -> list[Ticket]:
        table, active = self.table, self.table.active
        marks = self.stops.marks[table.stop_sets[:active], table.ids[:active]]
        marks[table.replayed[:active]] = GO_ON
        over = (table.steps >= table.limits)[:active] | table.closing[:active]
        done = [
            slot
            for slot in np.flatnonzero(marks.astype(bool) | over).tolist()
            if self._is_done(slot, marks[slot], over[slot])
        ]
        if not done:
            return []
        rows = [table.rows[slot] for slot in done]
        self.prefixes.keep([table.decoded(slot) for slot in done], self.cache)
        complete = []
        for slot, row in zip(done, rows, strict=True):
            if row.sample == REPLAY:
                self._requeue(row.ticket)
                continue
            row.ticket.samples[row.sample] = table.sample(slot, None if values is None else float(values[slot]))
            row.ticket.missing -= 1
            self.usage.samples += 1
            if not row.ticket.missing:
                complete.append(row.ticket)
        table.vacate(done)
        return complete

    def _is_done(self, slot: int, mark: int, over: bool) -> bool:
        """A row is finished with its last token. With a value head it is finished one step later, which feeds this
        token and so gives its value."""
        table = self.table
        if table.closing[slot]:
            return True
        stopped = mark == END or (mark == MAYBE and self._completes_stop(slot))
        if not (stopped or over):
            return False
        table.stopped[slot] = stopped
        table.closing[slot] = self.head is not None and not table.replayed[slot]
        return not table.closing[slot]

    def _completes_stop(self, slot: int) -> bool:
        table = self.table
        return self.stops.completes(
            table.tokens[slot, : table.steps[slot]].tolist(), table.rows[slot].ticket.request.sampling.stop
        )

    def _requeue(self, ticket: Ticket) -> None:
        """Called after a row's replay. The ticket is ready, unless there was no room to store what was computed."""
        self.prefixes.find(ticket.path)
        if ticket.path.missing:
            self.prefixes.drop(ticket.path)
            self._waiting.appendleft(ticket)
        else:
            self._ready.appendleft(ticket)


@contextmanager
def last_hidden(model: Any) -> Iterator[list[Tensor]]:
    """Fills the list with the output layer's input, `[rows, tokens, hidden]`. Requesting hidden states would keep those
    of every layer."""
    received: list[Tensor] = []
    hook = model.get_output_embeddings().register_forward_pre_hook(lambda _, inputs: received.append(inputs[0]))
    try:
        yield received
    finally:
        hook.remove()
