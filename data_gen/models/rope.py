"""Rotary embeddings whose frequencies follow the longest row of a batch, settled once for the model's context.

LongRoPE (Phi-3) has other factors for sequences over its original length, and dynamic NTK scaling grows with the
sequence. Computed anew in every pass, a short row would change when a long one stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from data_gen.models.context import context_length

LONG, DYNAMIC, SETTLED = "longrope", "dynamic", "default"


def settle_rope(model: Any) -> Any:
    """Settle every rotary embedding of the model, and its config, so that a saved model keeps what was trained. Returns
    the model.

    LongRoPE takes its long factors if the context exceeds the original length, else its short ones, for all rows, as
    vLLM does. Dynamic scaling changes nothing up to the context, and no row is longer.
    """
    context = context_length(model.config)
    for module in model.modules():
        for kind, layer, rope in _scaled(module):
            if kind == LONG:
                _settle_long(module, layer, rope, long=context > rope["original_max_position_embeddings"])
            elif DYNAMIC in kind:
                _settle_dynamic(module, layer)
    return model


def _scaled(module: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(type, type of the layers that have it or "", parameters) of each rotary embedding that a module holds."""
    kinds, config = getattr(module, "rope_type", None), getattr(module, "config", None)
    rope = getattr(config, "rope_parameters", None)
    if isinstance(kinds, str) and isinstance(rope, dict):
        yield kinds, "", rope
    elif isinstance(kinds, dict) and isinstance(rope, dict):
        yield from ((kind, layer, rope[layer]) for layer, kind in kinds.items() if layer in rope)


def _settle_long(module: Any, layer: str, rope: dict[str, Any], *, long: bool) -> None:
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    if "long_mscale" in rope:  # PhiMoE: its module takes the short factors at any length, and only a scale by length
        rope["short_mscale"] = rope["long_mscale"] = rope["long_mscale" if long else "short_mscale"]
        return
    rope["short_factor"] = rope["long_factor"] = list(rope["long_factor" if long else "short_factor"])
    kept = getattr(module, _named("inv_freq", layer))
    frequencies, _ = ROPE_INIT_FUNCTIONS[LONG](module.config, kept.device, **({"layer_type": layer} if layer else {}))
    kept.copy_(frequencies)
    for name in ("original_inv_freq", "long_inv_freq"):
        setattr(module, _named(name, layer), frequencies.clone())


def _settle_dynamic(module: Any, layer: str) -> None:
    if layer:
        module.rope_type[layer] = SETTLED
    else:
        module.rope_type = SETTLED
    kept, original = (getattr(module, _named(name, layer)) for name in ("inv_freq", "original_inv_freq"))
    kept.copy_(original)


def _named(name: str, layer: str) -> str:
    return f"{layer}_{name}" if layer else name
