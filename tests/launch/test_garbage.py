"""What `gc` would remove, beside what runs reach: progress, damaged artifacts, nothing that is worked on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from data_gen.errors import UserError
from launch import garbage
from launch.garbage import find_garbage, remove, size_of
from launch.runs import RunFolder, list_runs
from reasoning_train.api.plan import Plan
from reasoning_train.api.refs import Ref
from reasoning_train.store.locks import Lock
from reasoning_train.store.manifest import read_manifest
from reasoning_train.store.partial import open_partial
from reasoning_train.store.store import Store
from reasoning_train.worker.run_node import run_node
from tests.launch.hand_plan import make_plan


@pytest.fixture
def plan() -> Plan:
    return make_plan({"a": ("t_numbers", {"n": 4}), "b": ("t_square", {"data": Ref("a")})})


def silent(event: dict[str, object]) -> None:
    """A report that nobody reads."""


def test_progress_that_a_living_process_works_on_stays(plan: Plan, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    run_node(plan, "a", store, report=silent, shard=(0, 2))
    partial = store.partial(plan.nodes["a"])
    lock = Lock(store.locks / f"{store.folder(plan.nodes['a']).name}.0-of-2.lock")
    assert lock.acquire() is None
    assert find_garbage(store, None) == []
    lock.release()
    assert find_garbage(store, None) == [partial]
    RunFolder(store, plan).close("interrupted", 1.0)  # a run that will go on reaches it
    assert find_garbage(store, None) == []


def test_what_was_set_aside_goes_and_a_run_that_is_going_on_stays(plan: Plan, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    run_node(plan, "a", store, report=silent)
    part = store.folder(plan.nodes["a"]) / "data" / "part-00000.parquet"
    part.write_bytes(b"torn")
    store.set_aside(plan.nodes["a"])
    running = RunFolder(store, plan)
    assert find_garbage(store, 0) == list(store.quarantine.iterdir())
    running.close("done", 1.0)
    assert find_garbage(store, 0) == [running.path, *store.quarantine.iterdir()]
    assert size_of(running.path) > 0


@pytest.mark.parametrize(
    "put",
    [Path.mkdir, Path.touch, os.mkfifo, lambda path: path.symlink_to("nowhere")],
    ids=["dir", "file", "fifo", "link"],
)
def test_whatever_stands_in_the_place_of_a_folder_goes(tmp_path: Path, put: Callable[[Path], object]) -> None:
    store = Store(tmp_path / "store")
    paths = [store.artifacts / "sample-0123456789abcdef", store.artifacts / "sample-0123456789abcdef.partial"]
    paths += [store.root / "trash" / "a", store.quarantine / "a", store.locks / "a.lock.1234.set-aside"]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        put(path)
        assert size_of(path) == 0
    found = find_garbage(store, None)
    assert sorted(found) == sorted(paths)
    assert list(remove(store, found)) == [(path, "") for path in found]
    assert find_garbage(store, None) == []


@pytest.mark.parametrize(
    "put",
    [
        *(lambda path, text=text: path.write_text(text) for text in ("", '{"nodes": {"a"', "[]", "{}")),
        Path.mkdir,
        os.mkfifo,
    ],
    ids=["empty", "torn", "list", "map", "folder", "named pipe"],
)
def test_a_run_with_a_damaged_state_keeps_what_its_plan_names(
    plan: Plan, tmp_path: Path, put: Callable[[Path], object]
) -> None:
    store = Store(tmp_path / "store")
    run_node(plan, "a", store, report=silent)
    run = RunFolder(store, plan)
    (run.path / "run.json").unlink()
    put(run.path / "run.json")
    assert list_runs(store) == []
    assert find_garbage(store, None) == []
    assert find_garbage(store, 0) == []
    (run.path / "plan.json").unlink()
    put(run.path / "plan.json")
    with pytest.raises(UserError, match="run.json and plan.json are both damaged"):
        find_garbage(store, None)


@pytest.fixture
def unused(plan: Plan, tmp_path: Path) -> Store:
    """A store whose two artifacts no run reaches."""
    store = Store(tmp_path / "store")
    for name in plan.nodes:
        run_node(plan, name, store, report=silent)
    assert len(find_garbage(store, None)) == 2
    return store


def test_what_a_run_takes_up_after_it_was_listed_stays(plan: Plan, unused: Store) -> None:
    listed = find_garbage(unused, None)
    RunFolder(unused, make_plan({"a": ("t_numbers", {"n": 4})}))
    a, b = (unused.folder(plan.nodes[name]) for name in "ab")
    assert dict(remove(unused, listed)) == {a: "a run has taken it up meanwhile", b: ""}
    assert a.exists() and not b.exists()
    assert not list((unused.root / "trash").iterdir())


def test_what_a_process_begins_to_work_on_after_it_was_listed_stays(plan: Plan, unused: Store) -> None:
    listed = find_garbage(unused, None)
    lock = Lock(unused.locks / f"{unused.folder(plan.nodes['a']).name}.lock")
    assert lock.acquire() is None
    kept = dict(remove(unused, listed))
    assert kept[unused.folder(plan.nodes["a"])].startswith(f"process {os.getpid()} on ")
    assert kept[unused.folder(plan.nodes["b"])] == ""
    lock.release()


def test_what_a_living_process_reads_stays(plan: Plan, tmp_path: Path) -> None:
    """A stage that was started by hand, without a run that lists what it uses."""
    store = Store(tmp_path / "store")
    run_node(plan, "a", store, report=silent)
    open_partial(store, plan.nodes["b"], plan)
    assert find_garbage(store, None) == [store.folder(plan.nodes["a"]), store.partial(plan.nodes["b"])]
    lock = Lock(store.locks / f"{store.folder(plan.nodes['b']).name}.lock")
    assert lock.acquire() is None
    assert find_garbage(store, None) == []
    lock.release()


def test_progress_left_between_publishing_and_its_removal_goes_and_that_of_making_again_stays(
    plan: Plan, tmp_path: Path
) -> None:
    store = Store(tmp_path / "store")
    RunFolder(store, plan)
    for name in plan.nodes:
        run_node(plan, name, store, report=silent)
    assert find_garbage(store, None) == []
    left = open_partial(store, plan.nodes["b"], plan).folder
    assert find_garbage(store, None) == [left]
    (left / "inputs.json").write_text(json.dumps({plan.nodes["a"].key: "other bytes than b was made from"}))
    assert find_garbage(store, None) == []


def test_what_is_removed_twice_at_once_is_no_error(plan: Plan, unused: Store) -> None:
    listed = find_garbage(unused, None)
    assert [kept for _, kept in remove(unused, listed)] == ["", ""]
    assert [kept for _, kept in remove(unused, listed)] == ["", ""]
    partial = open_partial(unused, plan.nodes["a"], plan).folder
    trash = unused.trashed(partial)
    assert [kept for _, kept in remove(unused, find_garbage(unused, None))] == [""]
    unused.delete(trash)  # as a stage does that has moved it there


def test_a_run_that_wakes_up_after_it_was_listed_stays_with_what_it_uses(plan: Plan, unused: Store) -> None:
    """As one in another namespace that was frozen for longer than its heartbeat may be silent."""
    run = RunFolder(unused, plan)
    run.close("interrupted", 1.0)
    listed = find_garbage(unused, 0)
    run.close("running", 1.0)
    taken = "a run has taken it up meanwhile"
    kept = {run.path: "it is running", **{unused.folder(node): taken for node in plan.nodes.values()}}
    assert dict(remove(unused, listed)) == kept


def test_every_manifest_is_read_once(plan: Plan, unused: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    RunFolder(unused, plan).close("done", 1.0)
    more = make_plan({f"c{n}": ("t_numbers", {"n": n}) for n in (5, 6, 7)})
    for name in more.nodes:
        run_node(more, name, unused, report=silent)
    read: list[Path] = []
    monkeypatch.setattr(garbage, "read_manifest", lambda folder: read.append(folder) or read_manifest(folder))
    listed = find_garbage(unused, None)
    assert (len(listed), len(read)) == (3, 2)
    assert [kept for _, kept in remove(unused, listed)] == ["", "", ""]
    assert len(read) == 4
