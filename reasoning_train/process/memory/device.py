"""Memory that is available to this process."""

from __future__ import annotations

import os

USABLE = 0.8
"""Share of a GPU's memory that weights and optimizer states may take. The rest is for activations and the KV cache."""


def usable_bytes(gpu: float, reserved_share: float = 0.0) -> float:
    """Bytes for weights and optimizer states on a GPU of `gpu` bytes, if an engine takes `reserved_share` of it."""
    return max(0.0, gpu * (USABLE - reserved_share))


def available_bytes() -> int:
    """Free memory for this process: the GPU's, else its share of the machine's. Page cache counts as free."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[0])
    return _free_on_this_machine() // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def device_bytes() -> int:
    """Total memory of the device: the GPU's, else this process's share of the machine's."""
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
