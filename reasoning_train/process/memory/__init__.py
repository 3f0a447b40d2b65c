"""Memory estimates in bytes. They are rough: good enough to tell a laptop from a node.

`weights`: bytes per weight. `passes`: what forward and backward passes keep. `device`: what is available. Plans, checks
and job submission all use this package.
"""

from __future__ import annotations

from data_gen.engines.config import EngineConfig, OpenAIConfig
from reasoning_train.process.memory.passes import BYTES

GIB = 1 << 30


def generation_bytes(parameters: int, engine: EngineConfig) -> int:
    """Memory for generation: the weights and 1 GiB of KV cache (the engine's own budget). 0 if a running server holds
    them."""
    return 0 if isinstance(engine, OpenAIConfig) and engine.base_url else parameters * BYTES + GIB


def training_bytes(parameters: int, trained_share: float) -> int:
    """Memory for training: the weights, plus gradients and two AdamW moments for the trained share. Activations are not
    included (`passes.activation_bytes`)."""
    return int(parameters * BYTES * (1 + 3 * trained_share))
