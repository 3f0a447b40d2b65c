"""The right of this process to write: lost when another process takes its work over, as after a long freeze.

Whoever writes something durable calls `require` just before. Ranks, threads and tasks that hold no lease may write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


class TakenOver(SystemExit):
    """Another process has taken this one's work over. It is a SystemExit for the reason that `stopping.Stopped` is."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on `what`. `held` asks whether it is still this process's."""

    what: str
    token: str
    """Unique per acquisition."""
    held: Callable[[], bool]


_LEASE: ContextVar[Lease | None] = ContextVar("lease", default=None)


@contextmanager
def leased(lease: Lease) -> Iterator[None]:
    """Inside the `with`, this process writes under a lease."""
    before = _LEASE.set(lease)
    try:
        yield
    finally:
        _LEASE.reset(before)


def token() -> str:
    """The token of the lease; empty without one."""
    lease = _LEASE.get()
    return lease.token if lease else ""


def held() -> bool:
    """Whether this process may still write."""
    lease = _LEASE.get()
    return lease is None or lease.held()


def require() -> None:
    """Raise TakenOver if another process has taken this one's work over. Call it before every durable write."""
    lease = _LEASE.get()
    if lease is not None and not lease.held():
        raise TakenOver(f"another process has taken over {lease.what}")
