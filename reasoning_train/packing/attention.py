"""Attention masks of packed batches in the form that models take. Windows count positions, that is depth in a tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from data_gen.errors import UserError

if TYPE_CHECKING:
    import torch

FULL, SLIDING = "full_attention", "sliding_attention"


def layer_windows(model: Any) -> dict[str, int | None]:
    """Layer type -> attention window in positions, None for full attention. UserError for layers in which packed rows
    would see each other."""
    config = model.config
    kinds = sorted(getattr(config, "layer_types", None) or ())
    if odd := ", ".join(sorted({*kinds} - {FULL, SLIDING})):
        raise UserError(
            f"A {config.model_type!r} model has layers of type {odd}, in which packed rows would see each other. Train "
            "a model of full or sliding-window attention."
        )
    window = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
    if not kinds:
        return {SLIDING if window else FULL: window}
    return {kind: window if kind == SLIDING else None for kind in kinds}


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
    windows = layer_windows(model)
    made = {
        kind: _taken(model, visible if window is None else visible & (far < window)) for kind, window in windows.items()
    }
    differ = getattr(model.config, "layer_types", None) and SLIDING in made
    return made if differ else next(iter(made.values()))


def _taken(model: Any, mask: torch.Tensor) -> torch.Tensor:
    import torch

    if model.config._attn_implementation == "sdpa":
        return mask
    return torch.zeros(mask.shape, dtype=model.dtype, device=mask.device).masked_fill_(
        ~mask, torch.finfo(model.dtype).min
    )
