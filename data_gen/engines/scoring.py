"""Log-probs of given continuations, in padded batches of like length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from data_gen.engines.slot_cache import round_up

SCORE_LOGITS = 1 << 25
"""Most logits (rows x width x vocabulary) of one forward: 128 MiB in float32."""


@torch.inference_mode()
def score_batch(model: Any, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], row_block: int) -> list[list[float]]:
    """log p of each continuation's tokens given its prefix and the tokens before; one list a pair, in order.

    Rows are padded on the right, which causal attention keeps out of every real position.
    """
    scores: list[list[float]] = [[] for _ in pairs]
    order = sorted(range(len(pairs)), key=lambda i: _length(pairs[i]))
    while order:
        width = round_up(_length(pairs[order[0]]))
        most = max(row_block, SCORE_LOGITS // (width * model.config.vocab_size))
        batch = [i for i in order[:most] if _length(pairs[i]) <= width]
        order = order[len(batch) :]
        for i, row in zip(batch, _forward(model, [pairs[i] for i in batch], width, row_block), strict=True):
            scores[i] = row
    return scores


def _length(pair: tuple[Sequence[int], Sequence[int]]) -> int:
    return len(pair[0]) + len(pair[1])


def _forward(model: Any, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], width: int, row_block: int) -> list[list[float]]:
    ids = np.zeros((round_up(len(pairs), row_block), width), np.int64)
    for row, (prefix, continuation) in enumerate(pairs):
        ids[row, : len(prefix) + len(continuation)] = [*prefix, *continuation]
    tokens = torch.from_numpy(ids).to(model.device)
    # An explicit causal mask would be the same; positions are 0.. in every row, so none is needed.
    logits = model(input_ids=tokens, position_ids=torch.arange(width, device=model.device)[None], use_cache=False).logits
    logprobs = logits[:, :-1].float().log_softmax(-1).gather(-1, tokens[:, 1:, None])[..., 0].cpu()
    return [logprobs[row, len(p) - 1 : len(p) + len(c) - 1].tolist() for row, (p, c) in enumerate(pairs)]
