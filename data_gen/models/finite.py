"""Weights that are numbers. A training that blew up leaves NaN or infinity in all of them within a few steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def not_finite(model: nn.Module) -> str:
    """Name of the first weight that holds NaN or infinity; empty if all are finite."""
    import torch

    return next((name for name, weight in model.named_parameters() if not torch.isfinite(weight).all()), "")
