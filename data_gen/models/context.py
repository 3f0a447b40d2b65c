"""How many tokens a model takes."""

from __future__ import annotations

from typing import Any

NAMES = ("max_position_embeddings", "n_positions", "max_sequence_length", "max_seq_len", "seq_length")
"""Fields of configs that say it, by family. ALiBi models (BLOOM, MPT) name the length that they were trained for."""
UNKNOWN = 2048
"""Taken for a model whose config does not say."""


def context_length(config: Any) -> int:
    """Longest sequence that a model of this config takes, in tokens."""
    text = config.get_text_config(decoder=True)
    return next((int(length) for name in NAMES if (length := getattr(text, name, None))), UNKNOWN)
