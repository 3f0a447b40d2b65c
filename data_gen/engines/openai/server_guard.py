"""Runs a server for another process and ends it with that process, however it ends: `python -I server_guard.py
COMMAND...`.

The other process holds the far end of standard input. When that closes (it was told to stop, was killed, or lost its
terminal), the server's whole process group is told to end, and killed after a while. When a server ends by itself, its
remaining children are ended too.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time

GRACE_S = 10.0
"""Seconds that a server has to end by itself before it is killed."""


def main() -> int:
    """The server's exit code, or 128 + n if signal n killed it."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the holder of standard input decides
    server = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)
    while server.poll() is None and not select.select([sys.stdin], [], [], 0.1)[0]:
        pass
    wanted = server.poll() is None
    _signal(server.pid, signal.SIGTERM)
    end = time.monotonic() + (GRACE_S if wanted else 1.0)
    while _alive(server) and time.monotonic() < end:
        time.sleep(0.05)
    _signal(server.pid, signal.SIGKILL)
    code = server.wait()
    print(f"[the server {'was stopped' if wanted else _how(code)}]", flush=True)
    return code if code >= 0 else 128 - code


def _alive(server: subprocess.Popen[bytes]) -> bool:
    """Whether a process of the server's group remains."""
    server.poll()
    try:
        os.killpg(server.pid, 0)
    except ProcessLookupError:
        return False
    return True


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def _how(code: int) -> str:
    return (
        f"ended with exit code {code}" if code >= 0 else f"was killed by signal {-code} ({signal.Signals(-code).name})"
    )


if __name__ == "__main__":
    sys.exit(main())
