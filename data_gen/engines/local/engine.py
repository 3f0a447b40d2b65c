"""The in-process engine, which compares itself with plain forward passes before any work."""

from __future__ import annotations

from typing import Any

from data_gen.engines.local.self_check import check_engine
from data_gen.engines.local.unchecked import UncheckedEngine
from data_gen.models.settle import settle


class TransformersEngine(UncheckedEngine):
    """Samples from and scores with `model`, a decoder-only causal LM with full or sliding-window attention.

    `end_ids` end a continuation (a chat model has several). At most `slots` rows decode at once, fewer if their keys
    and values at full length would not fit half of the memory (1 GiB in all on a CPU, half of what is free on a GPU).
    The other half caches keys and values of prefixes and samples, so that a request that continues one computes only
    the new part; `prefix_columns` sets its size in tokens instead. Call `forget` after the model's weights have
    changed. `deterministic` makes ids, log-probabilities and values bitwise independent of batching, neighbours, order
    and caching, on CPU: it sets torch to one intra-op thread and runs rows in multiples of 8. On some processors MKL
    adds in another order at some shapes all the same; only with `MKL_CBWR=AVX2,STRICT` in the environment does it not.
    `head` gives a joint model's values (`Sample.value`): last hidden states `[rows, hidden]` -> `[rows]`.

    Raises:
        UserError: If engine and plain forward passes differ on a small model of the same family and settings
            (self_check.py).

    >>> engine = TransformersEngine(model, tokenizer, end_ids=[2])                         # doctest: +SKIP
    >>> request = Request(prefix=(5, 9), sampling=Sampling(max_tokens=8), seeds=(1,))  # doctest: +SKIP
    >>> [sample] = await engine.generate(request)  # doctest: +SKIP
    """

    def _prepare(self, model: Any) -> None:
        settle(model)
        check_engine(model)
