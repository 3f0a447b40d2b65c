"""Memory that a forward pass keeps for the backward pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

BYTES = 4
"""Bytes of a float32 value."""
AUTOCAST_BYTES = 2.7
"""Average bytes per value that a pass under autocast keeps; some values stay float32. On an H200 a Llama's passes took
0.65 of their float32 memory."""
LOGITS = 4
"""Tensors of the size of a chunk's logits that are held at once: raw and scaled logits, and the gradient of each."""


@dataclass(frozen=True, slots=True)
class DecoderShape:
    """Dimensions of a decoder that determine a pass's memory: `DecoderShape(hidden=576, attention=576, inner=1536,
    layers=30, words=49152)`."""

    hidden: int
    attention: int
    """Width of all heads together."""
    inner: int
    """Width of the MLP."""
    layers: int
    words: int

    @classmethod
    def of(cls, config: Any) -> DecoderShape:
        """The shape in a transformers config. Defaults: heads together as wide as the hidden size, an MLP four times as
        wide."""
        config = config.get_text_config()
        hidden, heads = int(config.hidden_size), int(config.num_attention_heads)
        head = getattr(config, "head_dim", None) or hidden // heads
        inner = getattr(config, "intermediate_size", None) or 4 * hidden
        return cls(hidden, heads * head, inner, int(config.num_hidden_layers), int(config.vocab_size))


def activation_bytes(
    shape: DecoderShape,
    tokens: int,
    *,
    logits: int,
    copies: int = LOGITS,
    recomputed: bool = False,
    size: float = BYTES,
) -> int:
    """Bytes that a pass over `tokens` keeps for its backward pass. `logits`: positions whose logits are held at once,
    in `copies` tensors. `size`: bytes of an activation value.

    Per token a layer keeps 8 hidden states (input, normalised and output of two norms; the sums), 4 widths of its heads
    (queries, keys, values, their mix; grouped keys and values are repeated) and 4 of its MLP (gate, activated, up,
    product). Attention itself is fused and keeps next to nothing. With `recomputed` each layer keeps only its input,
    and one layer at a time is whole. The last norm and the states before the language-model head add 3 hidden states.
    In float32 this is within 5 % of PyTorch's peak for Llama and Qwen2, and 16 % below it for Qwen3, which also
    normalises queries and keys. On a CPU a process took 1.3 times as much, and 2.6 times with recomputed layers,
    because glibc's malloc keeps freed memory (not with MALLOC_MMAP_THRESHOLD_=65536).
    """
    layer = 8 * shape.hidden + 4 * shape.attention + 4 * shape.inner
    kept = layer + shape.layers * shape.hidden if recomputed else shape.layers * layer
    return int(size * tokens * (kept + 3 * shape.hidden)) + BYTES * copies * logits * shape.words


def cast_bytes(model: Any) -> int:
    """Bytes that autocast adds: one bfloat16 copy of each float32 weight that it multiplies with."""
    from torch import nn

    weights = {id(m.weight): m.weight for m in model.modules() if isinstance(m, nn.Linear)}
    return sum(2 * p.numel() for p in weights.values() if p.element_size() == BYTES)
