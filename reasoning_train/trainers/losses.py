"""Loss terms as sums with explicit [B, T] weights; the trainer divides once, by the weight sum of the whole optimizer step."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def cross_entropy_sum(logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted sum of -log p(label). logits [B, T, V], labels and weights [B, T]; positions of weight 0 are skipped, not multiplied."""
    import torch.nn.functional as F

    trained = weights > 0
    losses = F.cross_entropy(logits[trained].float(), labels[trained], reduction="none")
    return (losses * weights[trained]).sum()
