"""Attention masks of packed batches in the form that models take. Windows count positions, that is depth in a tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from data_gen.errors import UserError
from data_gen.models.windows import by_layer_type

if TYPE_CHECKING:
    import torch


def masks(model: Any, visible: torch.Tensor, positions: torch.Tensor) -> Any:
    """`attention_mask` for a packed batch: one mask, or one per layer type if a model's layers differ.

    visible [B, 1, T, T] bool, positions [B, T]. The mask is boolean for SDPA, additive for eager attention. UserError
    for layers in which no mask can separate rows (state space, linear attention), or for a backend without masks.
    """
    if model.config._attn_implementation not in ("sdpa", "eager"):
        raise UserError(
            "Packing needs the attention implementation 'sdpa' or 'eager'; the model has "
            f"{model.config._attn_implementation!r}. Load it with `attn_implementation: sdpa`."
        )
    far = positions[:, None, :, None] - positions[:, None, None, :]
    return by_layer_type(
        model.config, lambda window: _taken(model, visible if window is None else visible & (far < window))
    )


def _taken(model: Any, mask: torch.Tensor) -> torch.Tensor:
    import torch

    if model.config._attn_implementation == "sdpa":
        return mask
    return torch.zeros(mask.shape, dtype=model.dtype, device=mask.device).masked_fill_(
        ~mask, torch.finfo(model.dtype).min
    )
