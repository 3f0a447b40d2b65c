"""Log-probabilities of many continuations of one prefix with vLLM.

All of a continuation but its last token is appended to the prefix and scored as a prompt. The last token is read from
the distribution from which vLLM would sample. Continuations that differ only in their last token, such as single
tokens, thus share one row, and a continuation may end at the end of the context.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from data_gen.engines.base import Usage
from data_gen.engines.vllm.core import Prompt, VllmCore

Ids = tuple[int, ...]
Row = tuple[Ids, list[int]]
"""The common part of continuations (all but their last tokens), and the distinct last tokens."""


async def score_continuations(
    core: VllmCore, adapter: Any, prefix: list[int], continuations: Sequence[Sequence[int]], usage: Usage
) -> list[list[float]]:
    """One list per continuation, in order."""
    rows = _rows(continuations)
    if not rows:
        return [[] for _ in continuations]

    async def ask(rows: Sequence[Row], *, cached: bool) -> list[Any]:
        return await core.ask(
            [Prompt([*prefix, *stem], _params(stem, lasts, cached), adapter) for stem, lasts in rows], usage
        )

    # The bare prefix goes first, so that the others find it cached: logits over the vocabulary are computed for every
    # uncached prompt token.
    bare, stemmed = [row for row in rows if not row[0]] or [((), [])], [row for row in rows if row[0]]
    outputs = await ask(bare, cached=True)
    usage.cached_tokens += outputs[0].num_cached_tokens or 0
    known: dict[Ids, list[float]] = {}
    for row, output in zip(bare, outputs, strict=True):
        known |= _read(row, output)
    outputs = await ask(stemmed, cached=True)
    fresh = [not _whole(row, output, len(prefix)) for row, output in zip(stemmed, outputs, strict=True)]
    again = iter(await ask([row for row, wanted in zip(stemmed, fresh, strict=True) if wanted], cached=False))
    for row, output, wanted in zip(stemmed, outputs, fresh, strict=True):
        known |= _read(row, next(again) if wanted else output)
    return [known[tuple(continuation)] if continuation else [] for continuation in continuations]


def _rows(continuations: Sequence[Sequence[int]]) -> list[Row]:
    from vllm.sampling_params import MAX_LOGPROB_TOKEN_IDS as MOST

    lasts: dict[Ids, dict[int, None]] = {}
    for continuation in continuations:
        if continuation:
            lasts.setdefault(tuple(continuation[:-1]), {})[continuation[-1]] = None
    return [(stem, list(ends)[i : i + MOST]) for stem, ends in lasts.items() for i in range(0, len(ends), MOST)]


def _params(stem: Ids, lasts: list[int], cached: bool) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(
        max_tokens=1,
        temperature=0.0,
        logprob_token_ids=lasts or None,
        prompt_logprobs=0 if stem else None,
        skip_reading_prefix_cache=not cached,
        flat_logprobs=True,
        detokenize=False,
        ignore_eos=True,
        output_kind=RequestOutputKind.FINAL_ONLY,
        skip_clone=True,
    )


def _whole(row: Row, output: Any, prefix: int) -> bool:
    """Whether the stem was scored. Cached tokens, e.g. of a stem that was sampled before, have no logits."""
    stem, flat = row[0], output.prompt_logprobs
    starts = flat.start_indices[-len(stem) :]
    return (
        (output.num_cached_tokens or 0) < prefix
        and len(starts) == len(stem)
        and tuple(flat.token_ids[i] for i in starts) == stem
    )


def _read(row: Row, output: Any) -> dict[Ids, list[float]]:
    """Continuation -> log-probs, of all continuations of a row."""
    stem, lasts = row
    before = (
        [output.prompt_logprobs.logprobs[i] for i in output.prompt_logprobs.start_indices[-len(stem) :]] if stem else []
    )
    if not lasts:
        return {}
    flat = output.outputs[0].logprobs
    found = dict(zip(flat.token_ids, flat.logprobs, strict=True))
    return {(*stem, last): [*before, found[last]] for last in lasts}
