"""Attention windows of a model's layers, and masks of the form that the model takes for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from data_gen.errors import UserError

FULL, SLIDING = "full_attention", "sliding_attention"
T = TypeVar("T")


def odd_layers(config: Any) -> str | None:
    """What is wrong with layers that no mask can describe, such as those of a state space; None if there are none."""
    kinds = sorted(set(getattr(config.get_text_config(decoder=True), "layer_types", None) or ()))
    odd = ", ".join(kind for kind in kinds if kind not in (FULL, SLIDING))
    return f"it has layers of type {odd}, expected full or sliding-window attention in every layer" if odd else None


def layer_windows(config: Any) -> dict[str, int | None]:
    """Layer type -> attention window in positions, the token's own included; None for full attention.

    A config without `layer_types` (Mistral, Phi-3, StarCoder2, Mixtral) has one window for all layers. UserError for
    layers that no mask can describe.
    """
    if odd := odd_layers(config):
        raise UserError(
            f"A {config.model_type!r} model is neither for the engine in this process nor for packed training: {odd}. "
            "Sample from it with `engine: {uses: vllm}` or a server, or choose another model."
        )
    config = config.get_text_config(decoder=True)
    kinds = sorted(set(getattr(config, "layer_types", None) or ()))
    window = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
    if not kinds:
        return {SLIDING if window else FULL: window}
    return {kind: window if kind == SLIDING else None for kind in kinds}


def by_layer_type(config: Any, made: Callable[[int | None], T]) -> T | dict[str, T]:
    """`attention_mask` of a forward pass: the mask that `made` gives for a window, or one for every layer type if a
    model's layers differ."""
    masks = {kind: made(window) for kind, window in layer_windows(config).items()}
    differ = getattr(config.get_text_config(decoder=True), "layer_types", None) and SLIDING in masks
    return masks if differ else next(iter(masks.values()))
