"""Which tiers of the sandbox hold on this machine. A tier is probed by running a program in it, once a process."""

from __future__ import annotations

import functools
import subprocess
import sys
import threading
from dataclasses import dataclass

from data_gen.errors import UserError
from data_gen.sandbox.bubblewrap import REMEDY, bwrap_path, jailed
from data_gen.sandbox.outcome import RunLimits

PROBE = """
import os, socket
held = 0
for forbidden in (os.fork, socket.socket, lambda: os.listdir("/proc"), lambda: open("/x", "w")):
    try:
        forbidden()
    except OSError:
        held += 1
print("held", held, os.listdir("/work"))
"""
"""Tries what a jail must refuse: a process, a socket, /proc, a file outside the working folder."""
USED: set[str] = set()
"""The tiers that this process has relied on, with their details. The worker empties it before a stage and enters it
into the manifest afterwards."""
_PROBING = threading.Lock()
EXPECTED = "held 4 ['.program']"


@dataclass(frozen=True, slots=True)
class Tier:
    """`Tier("bubblewrap", "bubblewrap 0.11.0, seccomp", "")`: it holds, since nothing is wrong."""

    name: str
    detail: str
    wrong: str
    """Why it does not hold; empty if it does."""


def bubblewrap() -> Tier:
    """The tier `bubblewrap`, probed once."""
    with _PROBING:
        return _bubblewrap()


@functools.cache
def _bubblewrap() -> Tier:
    try:
        if sys.platform != "linux":
            raise UserError("bubblewrap needs Linux")
        version = subprocess.run([bwrap_path(), "--version"], capture_output=True, text=True, timeout=30).stdout.strip()
        with jailed("program.py", (), RunLimits(), {".program": PROBE}) as jail:
            done = subprocess.run(
                jail.argv,
                pass_fds=jail.fds,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                env={},
                timeout=30,
            )
    except (UserError, OSError, subprocess.SubprocessError) as error:
        return Tier("bubblewrap", "", str(error))
    if done.stdout.strip() != EXPECTED:
        return Tier("bubblewrap", version, (done.stderr or done.stdout).strip()[:300] or f"exit {done.returncode}")
    return Tier("bubblewrap", f"{version}, seccomp", "")


def probed() -> list[Tier]:
    """Every tier, best first."""
    return [bubblewrap()]


def require() -> Tier:
    """The best tier that holds.

    Raises:
        UserError: If none does: programs of models are not run without one.
    """
    tiers = probed()
    for tier in tiers:
        if not tier.wrong:
            USED.add(f"{tier.name}: {tier.detail}")
            return tier
    why = "; ".join(f"{tier.name}: {tier.wrong}" for tier in tiers)
    raise UserError(
        f"No sandbox holds on this machine, and a model's program is not run without one ({why}). Install it with "
        f"`{REMEDY}` on Linux with user namespaces; `reasoning-train doctor` shows what is missing."
    )
