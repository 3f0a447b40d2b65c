"""Which process this is, in terms that another process can check: machine start, process namespace, number, start time.

A process number means something only inside one namespace of one machine that has not been started again: containers
may share a host name, and each has a process 1. The start time is counted by the kernel from the machine's start, so a
clock that is set does not change it.
"""

from __future__ import annotations

import functools
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """E.g. `Identity(host="node1", boot="3f0c...", namespace="pid:[4026531836]", pid=4711, started=81234)`."""

    host: str
    boot: str
    """Changes at every start of the machine."""
    namespace: str
    """In which `pid` counts."""
    pid: int
    started: float
    """When the process started: ticks since the machine's start on Linux, else Unix time as the kernel keeps it. It
    tells the process from a later one of its number."""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    @classmethod
    def mine(cls) -> Self:
        """This process."""
        boot, namespace = _place()
        return cls(
            host=socket.gethostname(), boot=boot, namespace=namespace, pid=os.getpid(), started=_start(os.getpid()) or 0
        )

    @classmethod
    def read(cls, content: Any) -> Self | None:
        """The identity in a mapping that was read from JSON; None if it holds none."""
        try:
            return cls(
                host=str(content["host"]),
                boot=str(content["boot"]),
                namespace=str(content["namespace"]),
                pid=int(content["pid"]),
                started=float(content["started"]),
            )
        except (KeyError, TypeError, ValueError, OverflowError):
            return None

    def lives(self) -> bool | None:
        """Whether the process still runs; None if it cannot be seen from here."""
        if (self.host, self.boot, self.namespace) != (socket.gethostname(), *_place()):
            return None
        return self.pid > 0 and _start(self.pid) == self.started


@functools.cache
def _place() -> tuple[str, str]:
    """(start of the machine, process namespace). Both empty where the system has no /proc."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return boot, os.readlink("/proc/self/ns/pid")
    except OSError:
        return "", ""


def _start(pid: int) -> float | None:
    """Start time of a living process; None if there is none, or only a zombie."""
    if not Path("/proc/self/stat").exists():
        return _start_elsewhere(pid)
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else float(fields[19])


def _start_elsewhere(pid: int) -> float | None:
    """The same on systems without /proc, whose kernels keep the start as a Unix time."""
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None
