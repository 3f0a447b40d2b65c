"""Rough memory needs in bytes, from parameter counts: enough to tell a laptop from a node, not to place the last gigabyte."""

from __future__ import annotations

import os

from data_gen.engines.config import EngineConfig, OpenAIConfig

BYTES = 4
"""Of a float32 value; on a GPU weights and activations take half."""
GIB = 1 << 30


def generation_bytes(parameters: int, engine: EngineConfig) -> int:
    """Weights and 1 GiB of keys and values (the engine's own budget); nothing where a server that runs already has them."""
    return 0 if isinstance(engine, OpenAIConfig) and engine.base_url else parameters * BYTES + GIB


def training_bytes(parameters: int, trained_share: float) -> int:
    """Weights, and for the trained share gradients and two AdamW moments. Activations come on top and depend on `micro_tokens`."""
    return int(parameters * BYTES * (1 + 3 * trained_share))


def available_bytes() -> int:
    """Free memory of the device that trains: the GPU's, else the machine's (its page cache counts as free)."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[0])
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
