"""The in-process engine: continuous batching over a transformers causal LM, behind the async interface of base.py.

A pump task runs while anything is under way. After each decode step it resolves the requests that finished, lets every
runnable program go on until it waits again, and only then admits what they asked for; so branches of one program, calls of many
programs and trees over different problems share one batch. Programs that wait for tools or graders are simply not in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from data_gen.engines.base import Request, Sample, Usage
from data_gen.engines.decoder import Decoder, Head
from data_gen.engines.owners import Owners
from data_gen.engines.prefixes import Prefixes
from data_gen.engines.rows import Ticket
from data_gen.engines.scoring import Call, Scorer
from data_gen.engines.slot_cache import column_bytes, round_up
from data_gen.engines.stop import StopTable
from data_gen.errors import UserError

DETERMINISTIC_ROWS = 8
"""Rows of a forward come in multiples of this: smaller matrix products take other kernels, and elementwise kernels compute
what is left over at the end of a tensor (less than two vector registers) by other code; both round otherwise."""
SCORED_AT_ONCE = 256
"""Waiting scores that are computed between two decode steps."""
QUIET_TURNS = 4
"""Turns of the event loop without a new request after which every program is taken to wait: a finished child wakes its `gather`,
which wakes its parent, one turn each. A request that comes later is admitted one step later; its result is the same."""


class TransformersEngine:
    """Samples from and scores with `model`, a decoder-only causal LM with full attention in every layer.

    `end_ids` end a continuation (all of them: a chat model has several). At most `slots` rows decode at once, fewer where their keys and
    values at full length would not fit their half of the memory (1 GiB in all on a CPU, half of what is free on a GPU). The other half
    keeps the keys and values of prefixes and samples, so that a request which goes on from one computes only what is new;
    `prefix_columns` sets how many tokens instead. The model's weights must not change meanwhile; `forget` after they did.
    `deterministic` makes ids, log-probs and values bitwise independent of batching, neighbours, order and what was kept, on CPU: it sets
    torch to one intra-op thread and runs rows in multiples of 8.
    `head` gives a joint model's values (`Sample.value`): last hidden states `[rows, hidden]` -> `[rows]`.

    >>> engine = TransformersEngine(model, tokenizer, end_ids=[2])                         # doctest: +SKIP
    >>> [sample] = await engine.generate(Request(prefix=(5, 9), sampling=Sampling(max_tokens=8), seeds=(1,)))  # doctest: +SKIP
    """

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
        _refuse_windows(model.config)
        row_block = DETERMINISTIC_ROWS if deterministic else 1
        if deterministic and model.device.type == "cpu":
            torch.set_num_threads(1)
        self.model, self.usage = model.eval(), Usage()
        self.context: int = model.config.max_position_embeddings
        half = _kv_bytes(model.device) // column_bytes(model) // 2
        stops = StopTable(tokenizer, model.config.vocab_size, end_ids)
        self._prefixes = Prefixes(
            model, capacity=half if prefix_columns is None else prefix_columns, row_block=row_block, exact=deterministic
        )
        self._decoder = Decoder(
            model, stops, self.usage, self._prefixes, slots=round_up(slots, row_block), kv_columns=half, row_block=row_block, head=head
        )
        self._scorer = Scorer(model, self._prefixes, self.usage, half // 4)
        self._owners = Owners()
        self._futures: dict[Ticket, asyncio.Future[list[Sample]]] = {}
        self._scores: list[tuple[Call, asyncio.Future[list[list[float]]]]] = []
        self._pump: asyncio.Task[None] | None = None
        self._arrivals = 0
        self._cancelled = False

    async def generate(self, request: Request) -> list[Sample]:
        """`len(request.seeds)` continuations in seed order. UserError if prefix and one token do not fit the context."""
        self._check(request)
        if not request.seeds:
            return []
        ticket, future = self._decoder.submit(request, self._owners.number(request.owner)), asyncio.get_running_loop().create_future()
        self._futures[ticket] = future
        self._wake()
        try:
            return await future
        except asyncio.CancelledError:
            ticket.cancelled = self._cancelled = True
            raise

    async def score(self, prefix: Sequence[int], continuations: Sequence[Sequence[int]]) -> list[list[float]]:
        """log p of each token of each continuation. UserError if the prefix and the longest one together do not fit the context."""
        longest = max(map(len, continuations), default=0)
        if not prefix or len(prefix) + longest > self.context:
            raise UserError(
                f"score: a prefix of {len(prefix)} and a continuation of {longest} tokens; expected a prefix of at least 1 and "
                f"together at most the model's context of {self.context}. Shorten the text or choose a model with a longer context."
            )
        self.usage.scored_tokens += sum(map(len, continuations))
        self.usage.prompt_tokens += len(prefix)
        self.usage.requests += 1
        future: asyncio.Future[list[list[float]]] = asyncio.get_running_loop().create_future()
        self._scores.append(((tuple(prefix), continuations), future))
        self._wake()
        return await future

    def forget(self) -> None:
        """Drop all keys and values that were kept: for when the model's weights have changed, between requests."""
        self._prefixes.forget()

    async def aclose(self) -> None:
        """Nothing outlives the pump, which ends by itself."""

    def _check(self, request: Request) -> None:
        prefix, wanted = len(request.prefix), request.sampling.max_tokens
        if not 0 < prefix < self.context:
            raise UserError(
                f"generate: a prefix of {prefix} tokens; expected 1 to {self.context - 1}, since the model's context is {self.context} "
                f"and one token must fit behind it. Shorten the prompt or choose a model with a longer context."
            )
        if wanted < 1:
            raise UserError(f"sampling.max_tokens is {wanted}; expected at least 1.")

    def _wake(self) -> None:
        self._arrivals += 1
        if self._pump is None or self._pump.done():
            self._pump = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        """Settle, step, resolve, until nothing is under way. A failed step fails the requests it held, not the engine."""
        resolved = True
        while True:
            await self._settle(QUIET_TURNS if resolved else 1)
            self._drop_cancelled()
            if not (self._scores or self._decoder.busy):
                return
            try:
                resolved = self._step()
            except Exception as error:
                self._fail(error)
                resolved = True

    async def _settle(self, turns: int) -> None:
        quiet = 0
        while quiet < turns:
            before = self._arrivals
            await asyncio.sleep(0)
            quiet = quiet + 1 if self._arrivals == before else 0

    def _step(self) -> bool:
        """One decode step and the waiting scores; whether any program can go on."""
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

    def _drop_cancelled(self) -> None:
        if self._cancelled:
            self._cancelled = False
            self._futures = {ticket: future for ticket, future in self._futures.items() if not ticket.cancelled}
            self._decoder.drop_cancelled()

    def _fail(self, error: Exception) -> None:
        self._decoder.clear()
        waiting: list[asyncio.Future[Any]] = [*self._futures.values(), *(future for _, future in self._scores)]
        for future in waiting:
            if not future.done():
                future.set_exception(error)
        self._futures, self._scores = {}, []


def _kv_bytes(device: torch.device) -> int:
    """Memory for keys and values: half of what is free on a GPU, 1 GiB on a CPU."""
    return torch.cuda.mem_get_info(device)[0] // 2 if device.type == "cuda" else 1 << 30


def _refuse_windows(config: Any) -> None:
    odd = sorted(set(getattr(config, "layer_types", None) or ()) - {"full_attention"})
    if odd:
        raise UserError(
            f"model {config.model_type!r} has layers of type {', '.join(odd)}; the transformers engine expects full "
            "attention in every layer. Choose a Llama- or Qwen-shaped model or another engine."
        )


def _resolve(future: asyncio.Future[Any], result: Any) -> None:
    if not future.done():
        future.set_result(result)
