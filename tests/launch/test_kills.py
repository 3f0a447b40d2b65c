"""kill -9 of the runner, of a worker and around publishing, and a full disk: a rerun gives the rows of an undisturbed
run."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import psutil
import pytest

from reasoning_train.api.plan import Plan
from reasoning_train.api.refs import Ref
from reasoning_train.store import store as store_module
from reasoning_train.store.manifest import read_manifest
from reasoning_train.store.store import Store
from reasoning_train.worker.run_node import run_node
from tests.launch.hand_plan import make_plan
from tests.launch.harness import descendants, kill, recorded, results, run, start, wait_until, workers


@pytest.fixture
def plan() -> Plan:
    return make_plan({"a": ("t_numbers", {"n": 40, "sleep_s": 0.03}), "b": ("t_square", {"data": Ref("a")})})


@pytest.fixture
def undisturbed(tmp_path: Path, plan: Plan) -> Store:
    store = Store(tmp_path / "undisturbed")
    for name in plan.nodes:
        run_node(plan, name, store, report=lambda event: None)
    return store


def assert_same(store: Store, undisturbed: Store, plan: Plan) -> None:
    assert dict(results(store, plan)) == dict(results(undisturbed, plan))
    for node in plan.nodes.values():
        mine, theirs = (read_manifest(one.folder(node)) or {} for one in (store, undisturbed))
        assert mine["counts"] == theirs["counts"]
        assert mine["metrics"] == theirs["metrics"]


def test_runner_killed_at_random_moments(tmp_path: Path, plan: Plan, undisturbed: Store) -> None:
    store, moments = Store(tmp_path / "store"), random.Random(1)
    for _ in range(3):
        process = start(plan, store)
        time.sleep(moments.uniform(0.5, 2.0))
        kill(process)
    code, output = run(plan, store)
    assert code == 0, output
    assert_same(store, undisturbed, plan)


def test_worker_killed_during_records(tmp_path: Path, plan: Plan, undisturbed: Store) -> None:
    store = Store(tmp_path / "store")
    process = start(plan, store)
    wait_until(lambda: recorded(store, plan, "a") >= 4)
    workers(process.pid)[0].send_signal(signal.SIGKILL)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "its process was killed by signal 9 (SIGKILL)" in output
    assert recorded(store, plan, "a") < 40
    assert run(plan, store)[0] == 0
    assert_same(store, undisturbed, plan)


def test_server_killed(tmp_path: Path, plan: Plan, undisturbed: Store) -> None:
    store = Store(tmp_path / "store")
    process = start(plan, store)
    wait_until(lambda: recorded(store, plan, "a") >= 4)
    server, *jobs = descendants(process.pid)
    server.send_signal(signal.SIGKILL)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1, output
    assert "a  failed: the process that starts the stages was killed by signal 9 (SIGKILL)" in output
    assert psutil.wait_procs(jobs, timeout=10)[1] == []
    assert run(plan, store)[0] == 0
    assert_same(store, undisturbed, plan)


class Killed(BaseException):
    """Stands for a kill -9: no handler of the program catches it and, unlike one, the test process survives it."""


@pytest.mark.parametrize("step", ["_sync_tree", "rename", "rmtree"])
def test_killed_while_publishing(
    step: str, tmp_path: Path, plan: Plan, undisturbed: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "store")
    owner = {"_sync_tree": store_module, "rename": store_module.os, "rmtree": store_module.shutil}[step]

    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, step, die)
        with pytest.raises(Killed):
            run_node(plan, "a", store, report=lambda event: None)
    published = read_manifest(store.folder(plan.nodes["a"])) is not None
    assert published == (step == "rmtree")
    for name in plan.nodes:
        run_node(plan, name, store, report=lambda event: None)
    assert_same(store, undisturbed, plan)


def test_full_disk(tmp_path: Path, plan: Plan, undisturbed: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "store")
    with monkeypatch.context() as patch:
        patch.setenv("TEST_FILE_LIMIT", "1500")
        code, output = run(plan, store)
    assert code == 1
    assert "No space left to write" in output
    assert "rerun the same command" in output
    assert "Traceback" not in output
    assert read_manifest(store.folder(plan.nodes["a"])) is None
    kept = recorded(store, plan, "a")
    assert 0 < kept < 40
    assert run(plan, store)[0] == 0
    assert_same(store, undisturbed, plan)


def test_server_killed_before_its_first_job(tmp_path: Path, plan: Plan, undisturbed: Store) -> None:
    store = Store(tmp_path / "store")
    process = start(plan, store)
    wait_until(lambda: descendants(process.pid))
    descendants(process.pid)[0].send_signal(signal.SIGKILL)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1, output
    assert run(plan, store)[0] == 0
    assert_same(store, undisturbed, plan)
