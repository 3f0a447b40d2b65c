"""Who may work on an artifact: one process on all of it, or several on its shards, never both.

A shard gives way to a process on the whole artifact. A process on the whole takes its lock, which keeps new shards out,
and waits for running shards. A waiting process checks each time whether the artifact has been finished.

Inside a claim `lease.require` (process/lease.py) raises TakenOver once another process has taken the lock over.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from reasoning_train.api.plan import Plan, StageNode
from reasoning_train.process import lease, stopping
from reasoning_train.store.locks import Lock, Owner, live_owner
from reasoning_train.store.store import Store, artifact_name

Shard = tuple[int, int]


@contextlib.contextmanager
def claim(
    store: Store, node: StageNode, plan: Plan, shard: Shard | None, tell: Callable[[Owner], None]
) -> Iterator[bool]:
    """Wait for the right to work on a node (or one shard of it) and hold it inside the `with`.

    Yields False, without a lock, if the artifact is finished and not stale. `tell` is called once for each owner waited
    for. A damaged artifact is set aside, so it is not finished.
    """
    lock = Lock(_path(store, node, shard))
    try:
        mine = _take(
            lock,
            lambda: _rival(store, node, shard),
            lambda: _finished(store, node, plan),
            tell,
            gives_way=shard is not None,
        )
        with _leased(node, lock) if mine else contextlib.nullcontext():
            try:
                yield mine
            except Exception:
                lease.require()  # what another process does with the artifact by now is the reason, not this error
                raise
    finally:
        lock.release()


@contextlib.contextmanager
def followed(store: Store, node: StageNode) -> Iterator[None]:
    """Inside the `with`, this process may write as long as the present owner of the node may: for the other ranks of a
    training."""
    lock = Lock(_path(store, node, None))
    lock.follow()
    with _leased(node, lock):
        yield


def _leased(node: StageNode, lock: Lock) -> contextlib.AbstractContextManager[None]:
    return lease.leased(lease.Lease(what=f"stage {node.name!r}", token=lock.token, held=lock.held))


@contextlib.contextmanager
def unclaimed(store: Store, name: str) -> Iterator[Owner | None]:
    """Keep processes from beginning to work on artifact `name` inside the `with`, unless it yields a living owner. It
    may wait for the heartbeat of an owner that cannot be seen from here."""
    lock = Lock(store.locks / f"{name}.lock")
    try:
        owner = _settled(lock.path) or lock.acquire()
        shards = sorted(store.locks.glob(f"{name}.*-of-*.lock"))
        yield owner or next((one for one in map(_settled, shards) if one is not None), None)
    finally:
        lock.release()


def _settled(path: Path) -> Owner | None:
    """The living owner of a lock. If its heartbeat looks old, the heartbeat is watched first."""
    while (owner := live_owner(path)) is not None and live_owner(path, watched=False) is None:
        time.sleep(0.5)
    return owner


def _take(
    lock: Lock,
    rival: Callable[[], Owner | None],
    finished: Callable[[], bool],
    tell: Callable[[Owner], None],
    gives_way: bool,
) -> bool:
    told: Owner | None = None
    held = False
    while not finished():
        other = rival() if gives_way or held else None
        if other is None and not held:
            other = lock.acquire()
            held = other is None
            other = other or rival()
        if other is None:
            # Another process may have finished after we checked the store and before we had the lock.
            return not finished()
        if held and gives_way:
            lock.release()
            held = False
        if other != told:
            told = other
            tell(other)
        if stopping.asked():
            raise stopping.Stopped
        time.sleep(random.uniform(0.1, 0.3))
    return False


def owners(store: Store, node: StageNode) -> list[Owner]:
    """All living processes that work on a node."""
    found = [live_owner(path, watched=False) for path in [_path(store, node, None), *_shard_locks(store, node)]]
    return [owner for owner in found if owner is not None]


def _rival(store: Store, node: StageNode, shard: Shard | None) -> Owner | None:
    """A living owner of a lock that excludes ours."""
    if shard is None:
        paths = _shard_locks(store, node)
    else:
        same_count = f"-of-{shard[1]}.lock"
        paths = [
            _path(store, node, None),
            *(path for path in _shard_locks(store, node) if not path.name.endswith(same_count)),
        ]
    return _first_owner(paths)


def _first_owner(paths: Iterable[Path]) -> Owner | None:
    return next((owner for owner in map(live_owner, paths) if owner is not None), None)


def _finished(store: Store, node: StageNode, plan: Plan) -> bool:
    state = store.state(node, plan)
    if state == "damaged" and (said := store.set_aside(node)):
        print(said, flush=True)
    return state == "cached"


def _path(store: Store, node: StageNode, shard: Shard | None) -> Path:
    part = f".{shard[0]}-of-{shard[1]}" if shard else ""
    return store.locks / f"{artifact_name(node.uses, node.key)}{part}.lock"


def _shard_locks(store: Store, node: StageNode) -> list[Path]:
    return sorted(store.locks.glob(f"{artifact_name(node.uses, node.key)}.*-of-*.lock"))
