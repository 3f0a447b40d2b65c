"""Makes a loaded model compute every row alike, whatever stands beside it: the engine and the trainers rely on it."""

from __future__ import annotations

from typing import Any

from data_gen.models.rope import settle_rope


def settle(model: Any) -> Any:
    """Settle rotary embeddings and local layers (rope.py, local_layers.py); again changes nothing. Returns it."""
    if model.config.get_text_config(decoder=True).model_type == "gpt_neo":
        from data_gen.models.local_layers import settle_local_layers

        settle_local_layers(model)
    return settle_rope(model)
