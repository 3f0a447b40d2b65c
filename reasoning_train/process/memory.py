"""Rough memory needs in bytes, from parameter counts: enough to tell a laptop from a node, not to place the last
gigabyte."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from data_gen.engines.config import EngineConfig, OpenAIConfig

BYTES = 4
"""Bytes of a float32 value."""
AUTOCAST_BYTES = 2.7
"""Bytes of a value that a pass under autocast keeps: some stay float32. On an H200 a Llama's passes took 0.65 of what
they take in float32."""
GIB = 1 << 30


def generation_bytes(parameters: int, engine: EngineConfig) -> int:
    """Weights and 1 GiB of keys and values (the engine's own budget); nothing where a server that runs already has
    them."""
    return 0 if isinstance(engine, OpenAIConfig) and engine.base_url else parameters * BYTES + GIB


def training_bytes(parameters: int, trained_share: float) -> int:
    """Weights, and for the trained share gradients and two AdamW moments. What a forward pass keeps comes on top:
    `activation_bytes`."""
    return int(parameters * BYTES * (1 + 3 * trained_share))


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


def activation_bytes(shape: Shape, tokens: int, *, logits: int, recomputed: bool = False, size: float = BYTES) -> int:
    """What a pass over `tokens` keeps for its backward pass; `logits`: positions whose logits are held at once; `size`:
    bytes of a number.

    A layer keeps, of each token, 8 hidden states (two norms: what goes in, normalised, what comes out; the sums), 4
    widths of its heads (queries, keys, values, their mix; grouped keys and values are repeated) and 4 of its MLP (gate,
    activated, up, product). Attention itself is fused and keeps next to nothing. Where layers are `recomputed` each
    keeps its input, and one is whole at a time. The last norm and the states that words are predicted from are 3 hidden
    states more. Logits are there four times: as they come, scaled, and in the gradient of either. In float32 that is
    within 5 % of the most that PyTorch holds for Llama and Qwen2, and 16 % below for Qwen3, which norms queries and
    keys too. A process on a CPU was seen to take 1.3 times as much, and 2.6 times where layers are recomputed, which
    glibc's malloc keeps (but not with MALLOC_MMAP_THRESHOLD_=65536).
    """
    layer = 8 * shape.hidden + 4 * shape.attention + 4 * shape.inner
    kept = layer + shape.layers * shape.hidden if recomputed else shape.layers * layer
    return int(size * tokens * (kept + 3 * shape.hidden)) + BYTES * 4 * logits * shape.words


def available_bytes() -> int:
    """Free memory for this process: the GPU's, else its share of the machine's (whose page cache counts as free)."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[0])
    return _free_on_this_machine() // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def device_bytes() -> int:
    """All memory of what this process runs on: the GPU's, else its share of the machine's."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[1])
    return _on_this_machine() // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def _free_on_this_machine() -> int:
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return _on_this_machine()


def _on_this_machine() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
