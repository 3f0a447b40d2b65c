"""Memory of this process as the kernel counts it since the process began its program.

`resource.getrusage` would not do: its peak is handed on by the process that started this one, and a large parent hides
any growth.
"""

from __future__ import annotations

from pathlib import Path


def resident_mib(what: str = "VmHWM") -> float:
    """MiB: `VmHWM`, the highest so far, or `VmRSS`, now."""
    line = next(
        line for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines() if line.startswith(what)
    )
    return int(line.split()[1]) / 1024
