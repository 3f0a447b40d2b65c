"""What `gc` would remove, beside what runs reach: progress, damaged artifacts, nothing that is worked on."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_gen.errors import UserError
from launch.garbage import find_garbage, size_of
from launch.runs import RunFolder, list_runs
from reasoning_train.api.plan import Plan
from reasoning_train.api.refs import Ref
from reasoning_train.store.locks import Lock
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


@pytest.mark.parametrize("content", ["", '{"nodes": {"a"', "[]", "{}"])
def test_a_run_with_a_damaged_state_keeps_what_its_plan_names(plan: Plan, tmp_path: Path, content: str) -> None:
    store = Store(tmp_path / "store")
    run_node(plan, "a", store, report=silent)
    run = RunFolder(store, plan)
    (run.path / "run.json").write_text(content)
    assert list_runs(store) == []
    assert find_garbage(store, None) == []
    assert find_garbage(store, 0) == []
    (run.path / "plan.json").write_text(content)
    with pytest.raises(UserError, match="run.json and plan.json are both damaged"):
        find_garbage(store, None)
