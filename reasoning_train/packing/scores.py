"""Scaled dot-product attention with a mask and the score cap that some families have."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def scored(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    *,
    scale: float,
    softcap: float | None,
    dropout: float,
) -> torch.Tensor:
    """query [n, H, Q, D], key and value [n, G, K, D] (G divides H), mask [n, 1, Q, K] bool or None for causal -> output
    [n, H, Q, D]."""
    import torch
    import torch.nn.functional as F

    if (shared := query.shape[1] // key.shape[1]) > 1:
        key, value = (states.repeat_interleave(shared, dim=1) for states in (key, value))
    if softcap is None:
        return F.scaled_dot_product_attention(query, key, value, mask, dropout, mask is None, scale=scale)
    scores = torch.tanh(query @ key.transpose(-1, -2) * (scale / softcap)) * softcap  # SDPA has no cap
    if mask is None:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    lowest = torch.finfo(scores.dtype).min  # finite: a padded row may see nothing
    weights = scores.masked_fill(~mask, lowest).softmax(-1, dtype=torch.float32).to(query.dtype)
    return F.dropout(weights, dropout) @ value
