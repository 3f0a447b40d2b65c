"""What a forward and a backward pass keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

BYTES = 4
"""Bytes of a float32 value."""
AUTOCAST_BYTES = 2.7
"""Bytes of a value that a pass under autocast keeps: some stay float32. On an H200 a Llama's passes took 0.65 of what
they take in float32."""
LOGITS = 4
"""Tensors of the size of a chunk's logits that are held at once: as they come, scaled, and the gradient of either."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a decoder says how much a forward pass keeps: `Shape(hidden=576, attention=576, inner=1536, layers=30,
    words=49152)`."""

    hidden: int
    attention: int
    """Width of all heads together."""
    inner: int
    """Width of the MLP."""
    layers: int
    words: int

    @classmethod
    def of(cls, config: Any) -> Shape:
        """The shape that a config of transformers describes; what it does not say is as in most: heads that fill the
        hidden size, an MLP of four times that."""
        config = config.get_text_config()
        hidden, heads = int(config.hidden_size), int(config.num_attention_heads)
        head = getattr(config, "head_dim", None) or hidden // heads
        inner = getattr(config, "intermediate_size", None) or 4 * hidden
        return cls(hidden, heads * head, inner, int(config.num_hidden_layers), int(config.vocab_size))


def activation_bytes(
    shape: Shape, tokens: int, *, logits: int, copies: int = LOGITS, recomputed: bool = False, size: float = BYTES
) -> int:
    """What a pass over `tokens` keeps for its backward pass; `logits`: positions whose logits are held at once, in so
    many `copies`; `size`: bytes of a number.

    A layer keeps, of each token, 8 hidden states (two norms: what goes in, normalised, what comes out; the sums), 4
    widths of its heads (queries, keys, values, their mix; grouped keys and values are repeated) and 4 of its MLP (gate,
    activated, up, product). Attention itself is fused and keeps next to nothing. Where layers are `recomputed` each
    keeps its input, and one is whole at a time. The last norm and the states that words are predicted from are 3 hidden
    states more. In float32 that is
    within 5 % of the most that PyTorch holds for Llama and Qwen2, and 16 % below for Qwen3, which norms queries and
    keys too. A process on a CPU was seen to take 1.3 times as much, and 2.6 times where layers are recomputed, which
    glibc's malloc keeps (but not with MALLOC_MMAP_THRESHOLD_=65536).
    """
    layer = 8 * shape.hidden + 4 * shape.attention + 4 * shape.inner
    kept = layer + shape.layers * shape.hidden if recomputed else shape.layers * layer
    return int(size * tokens * (kept + 3 * shape.hidden)) + BYTES * copies * logits * shape.words


def cast_bytes(model: Any) -> int:
    """What a pass under autocast keeps beside that: bfloat16 copies of the float32 weights that it multiplies with,
    each once."""
    from torch import nn

    weights = {id(m.weight): m.weight for m in model.modules() if isinstance(m, nn.Linear)}
    return sum(2 * p.numel() for p in weights.values() if p.element_size() == BYTES)
