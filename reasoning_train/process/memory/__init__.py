"""The one place that accounts for memory: rough needs in bytes, enough to tell a laptop from a node, not to place the
last gigabyte.

`weights` says what a process holds of every weight, `passes` what a forward and a backward pass keep, `device` what
there is. Whoever plans, checks or submits asks here.
"""

from __future__ import annotations

from data_gen.engines.config import EngineConfig, OpenAIConfig
from reasoning_train.process.memory.passes import BYTES

GIB = 1 << 30


def generation_bytes(parameters: int, engine: EngineConfig) -> int:
    """Weights and 1 GiB of keys and values (the engine's own budget); nothing where a server that runs already has
    them."""
    return 0 if isinstance(engine, OpenAIConfig) and engine.base_url else parameters * BYTES + GIB


def training_bytes(parameters: int, trained_share: float) -> int:
    """Weights, and for the trained share gradients and two AdamW moments. What a forward pass keeps comes on top:
    `passes.activation_bytes`."""
    return int(parameters * BYTES * (1 + 3 * trained_share))
