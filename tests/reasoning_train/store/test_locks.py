"""Locks: one owner at a time, dead owners recognised, and nothing written by one whose work was taken over."""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from data_gen.errors import UserError
from reasoning_train.api.plan import Plan
from reasoning_train.process.identity import Identity
from reasoning_train.process.lease import TakenOver
from reasoning_train.store import locks
from reasoning_train.store.append_log import LogWriter
from reasoning_train.store.locks import Lock, guard, live_owner
from reasoning_train.store.manifest import read_manifest
from reasoning_train.store.partial import Partial
from reasoning_train.store.store import Store
from reasoning_train.worker.run_node import run_node
from tests.launch.hand_plan import make_plan
from tests.launch.harness import files, recorded, start, wait_until, workers


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def plan() -> Plan:
    return make_plan({"a": ("t_numbers", {"n": 40, "sleep_s": 0.02})})


def test_a_lock_has_one_owner_at_a_time(tmp_path: Path) -> None:
    first, second = Lock(tmp_path / "x.lock"), Lock(tmp_path / "x.lock")
    assert first.acquire() is None
    owner = second.acquire()
    assert owner is not None
    assert owner.process is not None and owner.process.pid == os.getpid()
    second.release()
    assert live_owner(first.path) is not None
    first.release()
    assert second.acquire() is None
    second.release()


@pytest.mark.parametrize(
    ("change", "alive"),
    [({}, True), ({"pid": 2**22 - 3}, False), ({"started": 1.0}, False), ({"pid": "x"}, True)],
    ids=["living", "dead pid", "pid given out again", "of another version, fresh heartbeat"],
)
def test_stale_locks_are_recognised(tmp_path: Path, change: dict[str, Any], alive: bool) -> None:
    lock = Lock(tmp_path / "x.lock")
    lock.acquire()
    lock.path.write_text(json.dumps({**json.loads(lock.path.read_text()), **change}))
    assert (live_owner(lock.path) is not None) == alive


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", "\x00", pytest.param("[" * 100_000, id="deep")])
def test_a_torn_lock_is_nobodys(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.lock").write_text(text)
    lock = Lock(tmp_path / "x.lock")
    assert lock.acquire() is None and lock.held()
    lock.release()


@pytest.mark.parametrize(
    "put", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("nowhere")], ids=["folder", "named pipe", "link"]
)
def test_what_is_no_file_is_nobodys_lock(
    tmp_path: Path, put: Callable[[Path], object], capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path / "x.lock")
    assert live_owner(tmp_path / "x.lock") is None
    lock = Lock(tmp_path / "x.lock")
    assert lock.acquire() is None and lock.held() and not lock.path.is_symlink()
    assert "x.lock is no file; it was set aside as x.lock." in capsys.readouterr().out
    lock.release()
    assert [path.name for path in tmp_path.glob("*.lock")] == []
    (tmp_path / "y").mkdir()
    put(tmp_path / "y" / ".guard")
    with pytest.raises(UserError, match=r"\.guard is no file"):
        Lock(tmp_path / "y" / "x.lock").acquire()


@pytest.mark.parametrize("change", [{"host": "elsewhere"}, {"boot": "before"}, {"namespace": "pid:[1]"}])
def test_an_owner_that_cannot_be_seen_lives_as_long_as_its_heart_beats(
    tmp_path: Path, change: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number is that of nobody here. An old heartbeat may be a clock that was set, so it is watched as well."""
    now = [1000.0]
    monkeypatch.setattr(locks.time, "monotonic", lambda: now[0])
    path = tmp_path / "x.lock"
    gone = {**asdict(Identity.mine()), "pid": 2**22 - 3, **change}
    path.write_text(json.dumps({**gone, "token": "t"}))
    assert live_owner(path) is not None
    old = time.time() - locks.STALE_S - 1
    os.utime(path, (old, old))
    assert live_owner(path) is not None and live_owner(path, watched=False) is None
    now[0] += locks.WATCH_S - 1
    assert live_owner(path) is not None
    os.utime(path, (old + 1, old + 1))  # it beats, by whatever clock
    now[0] += 2
    assert live_owner(path) is not None
    now[0] += locks.WATCH_S
    assert live_owner(path) is None
    ahead = time.time() + 10_000  # the clock was set back since its last beat
    os.utime(path, (ahead, ahead))
    assert live_owner(path) is not None
    now[0] += locks.STALE_S
    assert live_owner(path) is None


def test_a_hiccup_of_the_file_system_does_not_end_the_heartbeat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as a stale file handle of NFS, which reading the lock meets as well as touching it."""
    monkeypatch.setattr(locks, "BEAT_S", 0.01)
    lock = Lock(tmp_path / "x.lock")
    lock.acquire()
    real, failures = locks._read, iter(range(3))

    def read(path: Path) -> locks.Owner | None:
        if next(failures, None) is not None:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return real(path)

    monkeypatch.setattr(locks, "_read", read)
    wait_until(lambda: next(failures, None) is None)
    os.utime(lock.path, (0, 0))
    wait_until(lambda: lock.path.stat().st_mtime > 0)
    lock.release()


def test_an_identity_survives_json_and_says_whether_its_process_lives() -> None:
    mine = Identity.mine()
    assert Identity.read(json.loads(json.dumps(asdict(mine)))) == mine
    assert mine.lives() is True
    for garbled in ({}, {**asdict(mine), "pid": "x"}, {**asdict(mine), "started": None}, [], None):
        assert Identity.read(garbled) is None


def test_the_start_of_a_process_does_not_change_with_the_clock() -> None:
    """It is what the kernel counts from the start of the machine, not a time of day."""
    if not Path("/proc/uptime").exists():
        pytest.skip("this system keeps the start of a process as a time of day")
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    assert 0 < Identity.mine().started / os.sysconf("SC_CLK_TCK") <= uptime


def test_whoever_makes_the_guard_shuts_nobody_out(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with guard(tmp_path / "x.lock"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / ".guard").stat().st_mode & 0o777 == 0o666


def take_over(store: Store) -> None:
    """As another process does that finds the lock stale."""
    for path in store.locks.glob("*.lock"):
        path.write_text(json.dumps({**asdict(Identity.mine()), "token": "another"}))


def after(number: int, kind: type, name: str, do: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Do something just before a method is called for the `number`-th time."""
    real, calls = getattr(kind, name), [0]

    def called(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        if calls[0] == number:
            do()
        return real(*args, **kwargs)

    monkeypatch.setattr(kind, name, called)


@pytest.mark.parametrize(
    ("kind", "name", "number", "kept"),
    [(LogWriter, "append", 4, 3), (Partial, "save", 1, 0), (Partial, "save", 2, 40), (Store, "publish", 1, 40)],
    ids=["a record", "the first state", "the last state", "publishing"],
)
def test_one_whose_work_was_taken_over_writes_nothing_more(
    kind: type, name: str, number: int, kept: int, store: Store, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        after(number, kind, name, lambda: take_over(store), patch)
        with pytest.raises(TakenOver, match="another process has taken over stage 'a'"):
            run_node(plan, "a", store, report=lambda event: None)
    assert read_manifest(store.folder(plan.nodes["a"])) is None
    assert recorded(store, plan, "a") == kept
    [lock] = store.locks.glob("*.lock")
    assert json.loads(lock.read_text())["token"] == "another", "the other's lock stays"


def test_no_heart_beats_for_a_lock_that_was_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would keep the other's lock alive after the other's death."""
    monkeypatch.setattr(locks, "BEAT_S", 0.01)
    lock = Lock(tmp_path / "taken.lock")
    assert lock.acquire() is None
    [heart] = [thread for thread in threading.enumerate() if thread.name == "heartbeat taken.lock"]
    lock.path.write_text(json.dumps({**asdict(Identity.mine()), "token": "another"}))
    heart.join(timeout=30)
    assert not heart.is_alive()
    lock.release()
    assert json.loads(lock.path.read_text())["token"] == "another"


def test_a_frozen_run_leaves_its_work_to_the_one_that_took_it_over(store: Store, plan: Plan) -> None:
    process = start(plan, store, cores=1)
    wait_until(lambda: recorded(store, plan, "a") >= 3)
    [job] = workers(process.pid)
    job.suspend()
    for lock in store.locks.glob("*.lock"):
        lock.unlink()  # as the other does once the heart has not been beating for a minute
    assert run_node(plan, "a", store, report=lambda event: None) == "ran"
    made = files(store.folder(plan.nodes["a"]))
    job.resume()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert "made by another run" in output
    assert files(store.folder(plan.nodes["a"])) == made
    assert not store.partial(plan.nodes["a"]).exists()
    assert (read_manifest(store.folder(plan.nodes["a"])) or {})["log"] == {
        "records": 40,
        "duplicates": 0,
        "corrupt": [],
    }
