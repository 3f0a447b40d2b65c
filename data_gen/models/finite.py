"""Weights that are numbers. A training that blew up leaves NaN or infinity in all of them within a few steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def not_finite(model: nn.Module) -> str:
    """Name of the first weight that holds NaN or infinity; empty if all are finite. Where ZeRO-3 shards the weights,
    this process's shards are looked at: the weights themselves are empty."""
    import torch

    shards = ((name, getattr(weight, "ds_tensor", weight)) for name, weight in model.named_parameters())
    return next((name for name, shard in shards if not torch.isfinite(shard).all()), "")
