"""Locks with an owner and a heartbeat: one process works on an artifact, others wait, and dead owners are detected.

A lock is a small JSON file that says who its owner is (process/identity.py) and whose modification time is the owner's
heartbeat. It is stale if its owner can be seen from here and is gone. An owner on another machine, in another process
namespace or before a start of the machine cannot be seen: its lock is stale if its heart has not been beating, by the
file system's clock and by this process's own, since clocks may be set.

Checking and taking a lock happen under a short file lock, so two waiters never both replace a stale lock. An owner that
was frozen may find its lock taken over: `Lock.held` tells, and process/lease.py asks it before every durable write.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from data_gen.errors import UserError
from reasoning_train.process.identity import Identity
from reasoning_train.store.state_files import write_json

BEAT_S = 10.0
"""Seconds between heartbeats."""
STALE_S = 60.0
"""Age of the heartbeat, in seconds, after which an owner that cannot be seen counts as dead."""
WATCH_S = 25.0
"""Seconds for which a heartbeat of that age must be watched without a beat: it looks old, too, when a clock is set."""
GUARD_S = 60.0
"""Maximum seconds to wait for a guard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Who holds a lock."""

    process: Identity | None
    """None if the lock may not be read, or another version of this program wrote it: then only its heartbeat tells."""
    token: str
    """Unique per acquisition."""

    def __str__(self) -> str:
        return str(self.process) if self.process else "a process that the lock does not tell"


class Lock:
    """The lock file `path`. Take it with `acquire` and release it with `release`; it is not reentrant."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.token = ""
        self._stop = threading.Event()

    def acquire(self) -> Owner | None:
        """Take the lock and start its heartbeat. Return None on success, else the live owner. Does not wait for the
        owner."""
        with guard(self.path):
            holder = live_owner(self.path)
            if holder is not None:
                return holder
            _clear_way(self.path)
            self.token = uuid.uuid4().hex
            write_json(self.path, {**asdict(Identity.mine()), "token": self.token})
        self._stop = threading.Event()
        beat = threading.Thread(target=self._beat, args=(self._stop,), daemon=True, name=f"heartbeat {self.path.name}")
        beat.start()
        return None

    def follow(self) -> None:
        """Regard the present owner as this process's own, as the ranks of one torchrun do."""
        owner = _read(self.path)
        self.token = owner.token if owner else ""

    def held(self) -> bool:
        """Whether the lock is still the one that was taken, and not another's."""
        owner = _read(self.path)
        return owner is not None and owner.token == self.token

    def release(self) -> None:
        """Release the lock. Does nothing if it is not held or was taken over."""
        self._stop.set()
        if not self.token:
            return
        with guard(self.path):
            if self.held():
                self.path.unlink(missing_ok=True)
        self.token = ""

    def _beat(self, stop: threading.Event) -> None:
        while not stop.wait(BEAT_S):
            with contextlib.suppress(OSError):  # a hiccup of the file system must not end the heartbeat
                if not self.held():
                    return
                os.utime(self.path)


def _clear_way(path: Path) -> None:
    """Rename what is no file where a lock belongs, such as a folder: no lock could ever be written there."""
    if os.path.lexists(path) and not path.is_file():
        aside = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.set-aside")
        os.rename(path, aside)
        print(f"{path} is no file; it was set aside as {aside.name}", flush=True)


def live_owner(path: Path, *, watched: bool = True) -> Owner | None:
    """The living owner of a lock file; None if the file is absent, unreadable as JSON or stale.

    An owner that cannot be seen counts as living until this process has watched its silence for `WATCH_S`, so a process
    that takes a lock over asks more than once. With `watched=False` an old heartbeat is enough, for display.
    """
    owner = _read(path)
    if owner is None:
        return None
    alive = owner.process.lives() if owner.process else None
    if alive is None:
        alive = _beating(path, owner.token, watched=watched)
    return owner if alive else None


_SEEN: dict[Path, tuple[str, int, float]] = {}
"""Lock -> (token, heartbeat, when this process first saw this heartbeat, by a clock that nobody sets)."""


def _beating(path: Path, token: str, *, watched: bool) -> bool:
    try:
        beat, age = path.stat().st_mtime_ns, heartbeat_age(path)
    except FileNotFoundError:
        return False
    now = time.monotonic()
    seen = _SEEN.get(path)
    if seen is None or seen[:2] != (token, beat):
        seen = _SEEN[path] = (token, beat, now)
    silent = now - seen[2]
    return silent < STALE_S and (age <= STALE_S or (watched and silent < WATCH_S))


def heartbeat_age(path: Path) -> float:
    """Seconds since a file was written or touched, by the file system's clock, since the clocks of hosts may differ."""
    probe = path.with_name(f"{path.name}.{uuid.uuid4().hex}.probe")
    try:
        probe.touch()
        now = probe.stat().st_mtime
    except OSError:  # a folder that may not be written: the clock of this host has to do
        now = time.time()
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)
    return now - path.stat().st_mtime


def _read(path: Path) -> Owner | None:
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except PermissionError:  # another user's, with a umask that hides it
        return Owner(process=None, token=str(path.stat().st_ino))
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or "token" not in content:
        return None
    return Owner(process=Identity.read(content), token=str(content["token"]))


@contextlib.contextmanager
def guard(path: Path) -> Iterator[None]:
    """A short mutual exclusion between processes, of all users of the store, that check files beside `path`. UserError
    if another process holds the guard for a minute or it is no file, PermissionError if it may not be read."""
    import filelock

    file = path.parent / ".guard"
    if os.path.lexists(file) and not file.is_file():  # who moved it away could free what another has just taken
        raise UserError(f"{file} is no file, but stands where processes of the store lock one. Remove it.")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        lock = filelock.FileLock(file, timeout=GUARD_S, mode=0o666)  # whoever comes first must not shut out the others
        try:
            lock.acquire()
        except PermissionError:
            with _guard_of_another(file):
                yield
                return
    except filelock.Timeout as error:
        raise UserError(
            f"{file} has been held by another process for {GUARD_S:.0f} s; it is hanging, perhaps with the file "
            "system. End it, and run the same command again."
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _guard_of_another(file: Path) -> Iterator[None]:
    """The same lock on a guard that may be read but not written: one that another user made with a strict umask."""
    import filelock

    descriptor = os.open(file, os.O_RDONLY)
    try:
        end = time.monotonic() + GUARD_S
        while not _flocked(descriptor, file):
            if time.monotonic() > end:
                raise filelock.Timeout(str(file))
            time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


def _flocked(descriptor: int, file: Path) -> bool:
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:  # NFS locks only what may be written
        raise UserError(f"{file} may not be written; its owner must run `chmod a+w {file}`.") from error
    return True
