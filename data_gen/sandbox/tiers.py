"""Which tiers of the sandbox hold on this machine. A tier is probed by running a program in it, once a process."""

from __future__ import annotations

import functools
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from data_gen.errors import UserError
from data_gen.sandbox.bubblewrap import REMEDY, bwrap_path, jailed
from data_gen.sandbox.outcome import RunLimits
from data_gen.sandbox.wasm import REMEDY as WASM_REMEDY
from data_gen.sandbox.wasm import run_wasm, version

PROBE = """
import os, socket
held = 0
for forbidden in (os.fork, socket.socket, lambda: os.listdir("/proc"), lambda: open("/x", "w")):
    try:
        forbidden()
    except OSError:
        held += 1
print("held", held, os.listdir("/box"))
"""
"""Tries what a jail must refuse: a process, a socket, /proc, a file outside the working folder."""
WASM_PROBE = b"""
import os, sys
held = 0
for forbidden in (lambda: os.fork(), lambda: __import__("socket").create_server(("", 0)),
                  lambda: os.listdir("/proc"), lambda: open("/x", "w")):
    try:
        forbidden()
    except (OSError, AttributeError):
        held += 1
print("held", held, os.listdir("/box"), sys.version.split()[0])
"""
"""The same, where there is no `os.fork` at all."""
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


def wasm() -> Tier:
    """The tier `wasm`, probed once. The first time on a machine, its Python is compiled for a minute."""
    with _PROBING:
        return _wasm()


@functools.cache
def _wasm() -> Tier:
    try:
        found = version()
        outcome = run_wasm({}, WASM_PROBE, "", RunLimits())
    except UserError as error:
        return Tier("wasm", "", str(error))
    if not outcome.stdout.startswith(EXPECTED):
        return Tier("wasm", found, (outcome.stderr or outcome.stdout).strip()[:300] or str(outcome.status))
    return Tier("wasm", f"{found}, CPython {outcome.stdout.split()[-1]}", "")


TIERS: tuple[Callable[[], Tier], ...] = (bubblewrap, wasm)
"""Best first."""


def probed() -> Iterator[Tier]:
    """Every tier, best first. A tier is probed when it is asked for: one that holds saves probing the next."""
    return (probe() for probe in TIERS)


def require() -> Tier:
    """The best tier that holds.

    Raises:
        UserError: If none does: programs of models are not run without one.
    """
    tried = []
    for tier in probed():
        if not tier.wrong:
            USED.add(f"{tier.name}: {tier.detail}")
            return tier
        tried.append(f"{tier.name}: {tier.wrong}")
    why = "; ".join(tried)
    raise UserError(
        f"No sandbox holds on this machine, and a model's program is not run without one ({why}). Install it with "
        f"`{REMEDY}` on Linux with user namespaces, elsewhere with `{WASM_REMEDY}`; `reasoning-train doctor` shows "
        "what is missing."
    )
