"""What a program may use, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

WALL_FACTOR = 4
"""Ratio of the wall-clock limit to the processor-time limit."""
MARGIN = 128 << 20
"""Bytes of memory that tests have beyond the program's limit: its values come to them."""
Judged = Literal["passed", "failed", "error", "timeout", "died", "unsupported"]
"""`failed`: an assertion of the tests. `error`: another exception, in the program or in the tests. `died`: the program
ended its process, or was ended. `unsupported`: it asked for what the tier `wasm` does not have."""


@dataclass(frozen=True, slots=True)
class RunLimits:
    """`RunLimits(cpu_s=2, memory=256 << 20)`."""

    cpu_s: float = 5.0
    """Seconds of processor time, rounded up to whole ones. The wall-clock limit is four times that."""
    memory: int = 512 << 20
    """Bytes of address space."""
    disk: int = 16 << 20
    """Bytes in the working folder. They count beside `memory`."""
    output: int = 1 << 20
    """Bytes of stdout, and as many of stderr. A program that writes more is ended."""

    @property
    def wall_s(self) -> float:
        """Seconds by the wall clock."""
        return self.cpu_s * WALL_FACTOR


DEFAULT = RunLimits()


class Status(StrEnum):
    """How a program ended."""

    OK = "ok"
    """With exit status 0, whoever asked for it: `os._exit(0)` does as well."""
    ERROR = "error"
    """With another exit status, e.g. after an exception."""
    DIED = "died"
    """By a signal, e.g. for want of memory or stack."""
    TIMEOUT = "timeout"
    """At the limit of processor time or of the wall clock."""
    OUTPUT = "output"
    """At the limit of its output."""


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """`RunOutcome("6\\n", "", Status.OK, 0.03)`. All of it is the program's word, but for the time."""

    stdout: str
    stderr: str
    status: Status
    seconds: float
    """Seconds by the wall clock, the start of the jail included."""
