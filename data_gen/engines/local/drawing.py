"""Next tokens from logits: one inverse-CDF draw per row, which depends only on that row's logits and uniform number."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def uniforms(seed: int, count: int) -> np.ndarray:
    """The request's stream: `count` float64 in [0, 1) from Philox keyed by the 64-bit seed, the same on every
    machine."""
    return np.random.Generator(np.random.Philox(key=seed)).random(count)


def draw(logits: Tensor, uniform: Tensor, temperature: Tensor | None, top_p: Tensor | None) -> tuple[Tensor, Tensor]:
    """Sampled ids `[rows]` and their log-probs under the untempered, untruncated distribution.

    `logits [rows, vocab]`, `uniform [rows]` float64, `temperature [rows]` (0: greedy; None if all are greedy), `top_p
    [rows]` or None if all are 1. Each row is processed by its own settings alone, so neighbours cannot change its
    result.
    """
    logits = logits.float()
    ids = logits.argmax(-1)
    if temperature is not None:
        warm = temperature > 0
        probs = (logits / torch.where(warm, temperature, 1.0)[:, None]).softmax(-1)
        drawn = _invert(probs, uniform)
        if top_p is not None:
            drawn = torch.where(top_p < 1, _invert_nucleus(probs, uniform, top_p), drawn)
        ids = torch.where(warm, drawn, ids)
    return ids, logits.log_softmax(-1).gather(-1, ids[:, None])[:, 0]


def _invert(probs: Tensor, uniform: Tensor) -> Tensor:
    """The first index at which the cumulative mass exceeds `uniform` times the total."""
    cdf = probs.cumsum(-1, dtype=torch.float64)
    found = torch.searchsorted(cdf, (uniform * cdf[:, -1])[:, None], right=True)[:, 0]
    return found.clamp_(max=probs.shape[-1] - 1)


def _invert_nucleus(probs: Tensor, uniform: Tensor, top_p: Tensor) -> Tensor:
    """Top-p (Holtzman et al. 2020): the smallest set of likeliest tokens whose mass reaches `top_p`, never empty."""
    ordered, index = probs.sort(dim=-1, descending=True, stable=True)
    before = ordered.cumsum(-1, dtype=torch.float64) - ordered
    kept = torch.where(before < top_p[:, None], ordered, 0.0)
    return index.gather(-1, _invert(kept, uniform)[:, None])[:, 0]
