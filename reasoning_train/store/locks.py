"""Locks with an owner and a heartbeat: one process works on an artifact, others wait, and dead owners are detected.

A lock is a small JSON file (host, pid, start time of the process). It is stale if its process on this host is gone, or
if its heartbeat from another host (the file's modification time) is older than `STALE_S`. Checking and taking a lock
happen under a short file lock, so two waiters never both replace a stale lock.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

BEAT_S = 10.0
"""Seconds between heartbeats."""
STALE_S = 60.0
"""Age of the heartbeat, in seconds, after which an owner on another host counts as dead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Who holds a lock, e.g. `Owner(host="node1", pid=4711, started=1.7e9, token="5f...")`."""

    host: str
    pid: int
    started: float
    """Start time of the process, so that a reused pid is not mistaken for the owner."""
    token: str
    """Unique per acquisition."""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    @classmethod
    def me(cls) -> Self:
        """This process."""
        import psutil

        return cls(
            host=socket.gethostname(), pid=os.getpid(), started=psutil.Process().create_time(), token=uuid.uuid4().hex
        )


class Lock:
    """The lock file `path`. Take it with `acquire` and release it with `release`; it is not reentrant."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mine: Owner | None = None
        self._stop = threading.Event()

    def acquire(self) -> Owner | None:
        """Take the lock and start its heartbeat. Return None on success, else the live owner. Does not wait for the
        owner."""
        with guard(self.path):
            holder = live_owner(self.path)
            if holder is not None:
                return holder
            self._mine = Owner.me()
            _write(self.path, asdict(self._mine))
        self._stop = threading.Event()
        threading.Thread(target=self._beat, args=(self._stop,), daemon=True, name=f"heartbeat {self.path.name}").start()
        return None

    def release(self) -> None:
        """Release the lock. Does nothing if it is not held or was taken over."""
        self._stop.set()
        if self._mine is None:
            return
        with guard(self.path):
            if _read(self.path) == self._mine:
                self.path.unlink(missing_ok=True)
        self._mine = None

    def _beat(self, stop: threading.Event) -> None:
        while not stop.wait(BEAT_S):
            try:
                os.utime(self.path)
            except FileNotFoundError:
                return


def live_owner(path: Path) -> Owner | None:
    """The living owner of a lock file; None if the file is absent, unreadable or stale."""
    owner = _read(path)
    if owner is None:
        return None
    alive = lives(owner.pid, owner.started) if owner.host == socket.gethostname() else _beating(path)
    return owner if alive else None


def lives(pid: int, started: float) -> bool:
    """Whether the process of this host that was `started` at this Unix time still runs. Its pid may have been
    reused."""
    import psutil

    try:
        process = psutil.Process(pid)
        # The start time is derived from the boot clock, which may be adjusted slightly.
        return abs(process.create_time() - started) < 2.0 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _beating(path: Path) -> bool:
    """Whether the heartbeat is recent by the file system's clock, since the clocks of hosts may differ."""
    probe = path.with_name(f"{path.name}.{uuid.uuid4().hex}.probe")
    try:
        probe.touch()
        return probe.stat().st_mtime - path.stat().st_mtime <= STALE_S
    except FileNotFoundError:
        return False
    finally:
        probe.unlink(missing_ok=True)


def _read(path: Path) -> Owner | None:
    try:
        return Owner(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _write(path: Path, content: dict[str, Any]) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(content), encoding="utf-8")
    os.replace(temporary, path)


def guard(path: Path) -> Any:
    """Context manager for a short mutual exclusion between processes that check files beside `path`."""
    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path.parent / ".guard", timeout=60)
