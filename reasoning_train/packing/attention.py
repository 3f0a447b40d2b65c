"""The mask of a packed batch as a model's attention takes it; windows count by position, that is by depth in a tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from data_gen.errors import UserError

if TYPE_CHECKING:
    import torch

FULL, SLIDING = "full_attention", "sliding_attention"


def masks(model: Any, visible: torch.Tensor, positions: torch.Tensor) -> Any:
    """`attention_mask` for a packed batch: one mask, or one for each layer type where a model's layers differ.

    visible [B, 1, T, T] bool, positions [B, T]. SDPA takes booleans, eager attention a term that it adds. UserError where a model has
    layers that no mask can keep apart (state space, linear attention) or a backend that takes none.
    """
    config = model.config
    kinds = set(getattr(config, "layer_types", None) or (FULL,))
    if not kinds <= {FULL, SLIDING}:
        raise UserError(
            f"A {config.model_type!r} model has layers of type {min(kinds - {FULL, SLIDING})!r}, in which packed rows would see "
            "each other. Train a model of full or sliding-window attention."
        )
    if config._attn_implementation not in ("sdpa", "eager"):
        raise UserError(
            f"Packing needs the attention implementation 'sdpa' or 'eager'; the model has {config._attn_implementation!r}. "
            "Load it with `attn_implementation: sdpa`."
        )
    window = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
    made = {FULL: _taken(model, visible)}
    if window:
        near = (positions[:, None, :, None] - positions[:, None, None, :]) < window
        made[SLIDING] = _taken(model, visible & near)
    if not getattr(config, "layer_types", None):
        return made[SLIDING if window else FULL]
    return made if SLIDING in kinds else made[FULL]


def _taken(model: Any, mask: torch.Tensor) -> torch.Tensor:
    import torch

    if model.config._attn_implementation == "sdpa":
        return mask
    return torch.zeros(mask.shape, dtype=model.dtype, device=mask.device).masked_fill_(~mask, torch.finfo(model.dtype).min)
