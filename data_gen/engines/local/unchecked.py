"""Continuous batching over a transformers causal LM, behind the async interface of base.py.

A pump (pump.py) steps it. Branches of one program, calls of many programs and trees over different problems share one
batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from data_gen.engines.base import Request, Sample, Usage
from data_gen.engines.limits import check_request, check_score
from data_gen.engines.local.decoder import Decoder, Head
from data_gen.engines.local.owners import Owners
from data_gen.engines.local.prefixes import Prefixes
from data_gen.engines.local.rows import Ticket
from data_gen.engines.local.scoring import Call, ContinuationScorer
from data_gen.engines.local.slot_cache import column_bytes, layer_shapes, round_up
from data_gen.engines.local.stop import StopTable
from data_gen.engines.pump import Pump
from data_gen.models.context import context_length

DETERMINISTIC_ROWS = 8
"""Rows of a forward are padded to a multiple of this. Smaller matrix products use other kernels, and elementwise
kernels process the end of a tensor (less than two vector registers) by other code; both round differently."""
SCORED_AT_ONCE = 256
"""Number of waiting scores that are computed between two decode steps."""


class UncheckedEngine:
    """The engine as engine.py documents it, over a settled model, without the self-check, which runs this class."""

    seeded = True

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        end_ids: Iterable[int],
        slots: int = 256,
        deterministic: bool = False,
        prefix_columns: int | None = None,
        head: Head | None = None,
    ) -> None:
        self._prepare(model)
        row_block = DETERMINISTIC_ROWS if deterministic else 1
        if deterministic and model.device.type == "cpu":
            torch.set_num_threads(1)
        self.model, self.usage = model.eval(), Usage()
        self.context = context_length(model.config)
        shapes = layer_shapes(model)
        half = _kv_bytes(model.device) // column_bytes(shapes, model.dtype) // 2
        stops = StopTable(tokenizer, model.config.get_text_config(decoder=True).vocab_size, end_ids)
        self._prefixes = Prefixes(
            model,
            shapes,
            capacity=half if prefix_columns is None else prefix_columns,
            row_block=row_block,
            exact=deterministic,
        )
        self._decoder = Decoder(
            model,
            stops,
            self.usage,
            self._prefixes,
            slots=round_up(slots, row_block),
            kv_columns=half,
            row_block=row_block,
            head=head,
        )
        self._scorer = ContinuationScorer(model, self._prefixes, self.usage, half // 4)
        self._owners = Owners()
        self._futures: dict[Ticket, asyncio.Future[list[Sample]]] = {}
        self._scores: list[tuple[Call, asyncio.Future[list[list[float]]]]] = []
        self._pump = Pump(self)
        self._cancelled = False

    def _prepare(self, model: Any) -> None:
        """Called before anything is computed with the model."""

    async def generate(self, request: Request) -> list[Sample]:
        """`len(request.seeds)` continuations in seed order. UserError if prefix and one token do not fit the
        context."""
        check_request(request, self.context)
        if not request.seeds:
            return []
        ticket, future = (
            self._decoder.submit(request, self._owners.number(request.owner)),
            asyncio.get_running_loop().create_future(),
        )
        self._futures[ticket] = future
        self._pump.wake()
        try:
            return await future
        except asyncio.CancelledError:
            ticket.cancelled = self._cancelled = True
            raise

    async def score(self, prefix: Sequence[int], continuations: Sequence[Sequence[int]]) -> list[list[float]]:
        """Log-probability of each token of each continuation. UserError if the prefix and the longest one together do
        not fit the context."""
        check_score(prefix, continuations, self.context)
        self.usage.scored_tokens += sum(map(len, continuations))
        self.usage.prompt_tokens += len(prefix)
        self.usage.requests += 1
        future: asyncio.Future[list[list[float]]] = asyncio.get_running_loop().create_future()
        self._scores.append(((tuple(prefix), continuations), future))
        self._pump.wake()
        return await future

    def forget(self) -> None:
        """Drop all cached keys and values. Call it between requests after the model's weights have changed."""
        self._prefixes.forget()

    async def aclose(self) -> None:
        """Nothing to close: the pump ends by itself."""

    @property
    def busy(self) -> bool:
        """Whether anything is in progress, or was cancelled since the last step."""
        return bool(self._scores or self._futures)

    def step(self) -> bool:
        """One decode step and the waiting scores. Returns whether any program can continue."""
        self._drop_cancelled()
        for owner in self._owners.gone():
            self._prefixes.store.release(owner)
        scores = self._scorer.score([call for call, _ in self._scores[:SCORED_AT_ONCE]]) if self._scores else []
        for (_, future), rows in zip(self._scores, scores, strict=False):
            _resolve(future, rows)
        del self._scores[: len(scores)]
        complete = self._decoder.step() if self._decoder.busy else []
        for ticket in complete:
            _resolve(self._futures.pop(ticket), [sample for sample in ticket.samples if sample is not None])
        return bool(scores or complete)

    def fail(self, error: Exception) -> None:
        """Everything in progress ends with `error`. The engine stays usable."""
        self._decoder.clear()
        waiting: list[asyncio.Future[Any]] = [*self._futures.values(), *(future for _, future in self._scores)]
        for future in waiting:
            if not future.done():
                future.set_exception(error)
        self._futures, self._scores = {}, []

    def _drop_cancelled(self) -> None:
        if self._cancelled:
            self._cancelled = False
            self._futures = {ticket: future for ticket, future in self._futures.items() if not ticket.cancelled}
            self._decoder.drop_cancelled()


def _kv_bytes(device: torch.device) -> int:
    """Memory for keys and values: half of what is free on a GPU, 1 GiB on a CPU."""
    return torch.cuda.mem_get_info(device)[0] // 2 if device.type == "cuda" else 1 << 30


def _resolve(future: asyncio.Future[Any], result: Any) -> None:
    if not future.done():
        future.set_result(result)
