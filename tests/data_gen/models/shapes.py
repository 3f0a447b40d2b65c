"""The shape of small decoders, under the names that most configs of transformers have for it."""

from __future__ import annotations

from typing import Any


def shape(**more: Any) -> dict[str, Any]:
    """2 layers x 32, grouped-query attention, weights wide enough that what a token sees matters."""
    fixed = {
        "vocab_size": 40,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128,
        "initializer_range": 0.3,
    }
    return {**fixed, **more}
