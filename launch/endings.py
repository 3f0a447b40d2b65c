"""What the exit code of a process says to the user, and whether the system has killed processes for want of memory."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path

from reasoning_train.worker.work import BAD_INPUT

REST = "finished problems are kept, rerun to go on"


def ending(code: int) -> str:
    """How a process ended: `was killed by signal 9 (SIGKILL)` or `ended with exit code 3`."""
    return f"was killed by signal {-code}{_name(-code)}" if code < 0 else f"ended with exit code {code}"


def _name(number: int) -> str:
    with contextlib.suppress(ValueError):  # most real-time signals have no name
        return f" ({signal.Signals(number).name})"
    return ""


def meaning(code: int, starved: bool | None) -> str:
    """A message for the exit code of a job that reported nothing itself. `starved`: whether the system has killed
    processes for want of memory meanwhile; None: it does not tell."""
    if code == BAD_INPUT:
        return "bad input"
    if code >= 0:
        return f"its process {ending(code)}"
    return f"its process {ending(code)}{_reason(starved) if code == -signal.SIGKILL else ''}; {REST}"


def _reason(starved: bool | None) -> str:
    if starved:
        return (
            ": the system was out of memory. Use smaller batches, fewer slots or fewer cores, or allow it more memory"
        )
    if starved is None:
        return ", by somebody or, for want of memory, by the system (`dmesg` or the administrator knows)"
    return " by somebody, not for want of memory"


def starvations() -> int | None:
    """Processes that the system has killed so far for want of memory in this process's control group; None if it does
    not tell."""
    for path in _counters():
        with contextlib.suppress(OSError, ValueError):
            fields = dict(line.split(maxsplit=1) for line in path.read_text(encoding="ascii").splitlines())
            if "oom_kill" in fields:
                return int(fields["oom_kill"])
    return None


def _counters() -> list[Path]:
    """Files that may hold the count: of version 2 of control groups, then of version 1."""
    try:
        groups = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return []
    root = Path("/sys/fs/cgroup")
    found = [root / path.lstrip("/") / "memory.events" for _, kinds, path in groups if not kinds]
    return found + [
        root / "memory" / path.lstrip("/") / "memory.oom_control" for _, kinds, path in groups if "memory" in kinds
    ]
