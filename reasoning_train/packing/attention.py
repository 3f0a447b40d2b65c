"""The mask of a packed batch as a model's attention takes it; windows count by position, that is by depth in a tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from data_gen.errors import UserError

if TYPE_CHECKING:
    import torch

FULL, SLIDING = "full_attention", "sliding_attention"


def layer_windows(model: Any) -> dict[str, int | None]:
    """Layer type -> how many positions its layers look back, None: all. UserError for layers in which packed rows would
    see each other."""
    config = model.config
    kinds = sorted(getattr(config, "layer_types", None) or ())
    if odd := ", ".join(sorted({*kinds} - {FULL, SLIDING})):
        raise UserError(
            f"A {config.model_type!r} model has layers of type {odd}, in which packed rows would see each other. "
            "Train a model of full or "
            "sliding-window attention."
        )
    window = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
    if not kinds:
        return {SLIDING if window else FULL: window}
    return {kind: window if kind == SLIDING else None for kind in kinds}


def masks(model: Any, visible: torch.Tensor, positions: torch.Tensor) -> Any:
    """`attention_mask` for a packed batch: one mask, or one for each layer type where a model's layers differ.

    visible [B, 1, T, T] bool, positions [B, T]. SDPA takes booleans, eager attention a term that it adds. UserError
    where a model has layers that no mask can keep apart (state space, linear attention) or a backend that takes none.
    """
    if model.config._attn_implementation not in ("sdpa", "eager"):
        raise UserError(
            "Packing needs the attention implementation 'sdpa' or 'eager'; the model has "
            f"{model.config._attn_implementation!r}. "
            "Load it with `attn_implementation: sdpa`."
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
