"""The store, locks, claims and the worker in one process."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import socket
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from data_gen.errors import UserError
from reasoning_train.api.plan import Plan
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import GateError
from reasoning_train.store.manifest import damages, read_manifest
from reasoning_train.store.ownership import claim
from reasoning_train.store.partial import Partial, open_partial
from reasoning_train.store.plan_json import plan_from_json, plan_to_json
from reasoning_train.store.rows import Rows
from reasoning_train.store.store import Store, open_to_group
from reasoning_train.worker.run_node import run_node
from tests.launch import plugin_stages
from tests.launch.hand_plan import make_plan


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def plan() -> Plan:
    return make_plan({"a": ("t_numbers", {"n": 6}), "b": ("t_square", {"data": Ref("a"), "note": "hello"})})


def silent(event: dict[str, Any]) -> None:
    """A report that nobody reads."""


def run_all(plan: Plan, store: Store) -> list[str]:
    return [run_node(plan, name, store, report=silent) for name in plan.nodes]


def test_manifest_says_how_it_was_made(plan: Plan, store: Store) -> None:
    assert run_all(plan, store) == ["ran", "ran"]
    a, b = (store.find(node) for node in plan.nodes.values())
    assert a is not None
    assert b is not None
    made = b.manifest
    assert made["key"] == plan.nodes["b"].key
    assert made["config"] == {
        "data": {"node": "a", "output": None, "key": plan.nodes["a"].key},
        "slow_s": 0.0,
        "note": "hello",
    }
    assert made["inputs"] == {"a": {"key": plan.nodes["a"].key, "digest": store.digest(plan.nodes["a"])}}
    assert a.manifest["outputs"]["data"]["rows"] == 12
    assert a.manifest["counts"] == {"tokens.generated": 15}
    assert a.manifest["log"]["records"] == 6
    assert made["packages"]["pyarrow"] and "host" not in made
    assert (b.path / "history.jsonl").read_text() == '{"step": 1, "loss": 0.5}\n'
    assert (b.path / "extra" / "note.txt").read_text() == "hello"
    assert not list(store.artifacts.glob("*.partial"))
    assert not list(store.locks.glob("*.lock"))


@pytest.mark.parametrize(("umask", "folders", "files"), [(0o022, 0o755, 0o644), (0o007, 0o770, 0o660)])
def test_what_is_published_is_as_open_as_the_umask_leaves_it(
    umask: int, folders: int, files: int, tmp_path: Path
) -> None:
    """Safetensors and temporary files come with the mode 0600, whatever the umask."""
    before = os.umask(umask)
    try:
        folder = tmp_path / "made"
        (folder / "model").mkdir(parents=True)
        (folder / "model" / "config.json").write_text("{}")
        descriptor, name = tempfile.mkstemp(dir=folder / "model")
        os.close(descriptor)
        assert mode(Path(name)) == 0o600
        open_to_group(folder)
        assert {mode(path) for path in folder.rglob("*") if path.is_file()} == {files}
        assert mode(folder) == mode(folder / "model") == folders
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_datasets_loads_an_artifact(plan: Plan, store: Store, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    run_all(plan, store)
    loaded = datasets.load_dataset(str(store.folder(plan.nodes["b"])), cache_dir=str(tmp_path / "cache"), split="train")
    assert [row["value"] for row in loaded] == [row["value"] for row in Rows(store.folder(plan.nodes["b"]) / "data")]


def test_shards_then_whole(plan: Plan, store: Store) -> None:
    assert [run_node(plan, "a", store, report=silent, shard=(k, 3)) for k in range(3)] == ["recorded"] * 3
    assert store.state(plan.nodes["a"], plan) == "partial"
    assert run_node(plan, "a", store, report=silent) == "ran"
    assert run_node(plan, "a", store, report=silent, shard=(0, 2)) == "cached"


def cut(text: bytes, at: int) -> bytes:
    """The log up to the end of its line number `at`, and half of the next."""
    lines = text.splitlines(keepends=True)
    return b"".join(lines[:at]) + lines[at][: len(lines[at]) // 2]


DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "cut inside a record": lambda log: cut(log, 1),
    "cut between records": lambda log: log[: log.index(b"\n") + 1],
    "its last byte changed": lambda log: log[:-1] + b"?",
    "gone": lambda log: None,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
def test_a_shard_that_lost_records_after_its_end_is_named_and_made_again(
    damage: Callable[[bytes], bytes | None],
    plan: Plan,
    store: Store,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    undisturbed = Store(tmp_path / "undisturbed")
    run_node(plan, "a", undisturbed, report=silent)
    for k in range(2):
        run_node(plan, "a", store, report=silent, shard=(k, 2))
    log = store.partial(plan.nodes["a"]) / "log-1-of-2.jsonl"
    left = damage(log.read_bytes())
    log.unlink()
    if left is not None:
        log.write_bytes(left)
    assert store.state(plan.nodes["a"], plan) == "partial"
    with pytest.raises(UserError, match="1 of 2 shards are unfinished: 1"):
        run_node(plan, "a", store, report=silent, merge_only=True)
    assert run_node(plan, "a", store, report=silent) == "ran"
    assert "log-1-of-2.jsonl has lost records since its shard ended; they are made again" in capsys.readouterr().out
    found, expected = (list(Rows(one.folder(plan.nodes["a"]) / "data")) for one in (store, undisturbed))
    assert found == expected and len(found) == 12


def test_consumers_of_a_remade_input_are_stale_and_made_again(plan: Plan, store: Store) -> None:
    run_all(plan, store)
    node = plan.nodes["a"]
    manifest = json.loads((store.folder(node) / "manifest.json").read_text())
    manifest["outputs"]["data"]["digest"] = "other"
    (store.folder(node) / "manifest.json").write_text(json.dumps(manifest))
    assert store.state(plan.nodes["b"], plan) == "stale"
    assert run_node(plan, "b", store, report=silent) == "ran"
    assert store.state(plan.nodes["b"], plan) == "cached"


def test_progress_made_from_other_inputs_is_not_resumed(store: Store) -> None:
    plan = make_plan({"a": ("t_numbers", {"n": 2}), "b": ("t_square", {"data": Ref("a")})})
    run_node(plan, "a", store, report=silent)
    partial = store.partial(plan.nodes["b"])
    partial.mkdir()
    (partial / "inputs.json").write_text('{"another": "digest"}')
    (partial / "work").mkdir()
    (partial / "work" / "checkpoint").write_text("from other data")
    run_node(plan, "b", store, report=silent)
    assert not list(store.root.rglob("checkpoint"))


def test_a_folder_without_a_manifest_does_not_exist(plan: Plan, store: Store) -> None:
    run_all(plan, store)
    (store.folder(plan.nodes["a"]) / "manifest.json").write_text('{"schema_version": 1, "torn')
    assert store.find(plan.nodes["a"]) is None
    with pytest.raises(UserError, match="Stage 'a' has no finished artifact"):
        store.open(plan.nodes["a"])
    assert run_node(plan, "a", store, report=silent) == "ran"


def test_a_worker_sets_a_damaged_artifact_aside_and_makes_it_again(
    plan: Plan, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    run_all(plan, store)
    part = store.folder(plan.nodes["a"]) / "data" / "part-00000.parquet"
    whole = part.read_bytes()
    part.write_bytes(whole[:50])
    assert store.state(plan.nodes["a"], plan) == "damaged"
    with pytest.raises(
        UserError, match=r"data/part-00000.parquet has 50 bytes .* Run the recipe again: it is set aside and made again"
    ):
        store.open(plan.nodes["a"])
    assert run_all(plan, store) == ["ran", "cached"]
    assert f"it was set aside in {store.quarantine}" in capsys.readouterr().out
    assert part.read_bytes() == whole


def test_a_sound_artifact_is_not_set_aside(plan: Plan, store: Store) -> None:
    run_all(plan, store)
    assert store.set_aside(plan.nodes["a"], "afresh") == ""
    assert run_all(plan, store) == ["cached", "cached"]


def test_other_bytes_of_the_same_size_are_found_by_a_deep_look(plan: Plan, store: Store) -> None:
    run_all(plan, store)
    folder = store.folder(plan.nodes["b"])
    (folder / "extra" / "note.txt").write_text("hullo")
    manifest = read_manifest(folder)
    assert manifest is not None
    assert list(damages(folder, manifest, lambda path: None)) == []
    assert list(damages(folder, manifest)) == ["extra/note.txt has other bytes than when it was made"]


def test_a_closed_gate_publishes_nothing_and_is_quick_to_meet_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan({"a": ("t_numbers", {"n": 3})})
    stage = plugin_stages.numbers
    monkeypatch.setattr(stage, "after", lambda config, ctx, rows: (_ for _ in ()).throw(GateError("no correct sample")))
    for _ in range(2):
        with pytest.raises(GateError, match="no correct sample"):
            run_node(plan, "a", store, report=silent)
        monkeypatch.setattr(stage, "run", lambda config, ctx: pytest.fail("ran again"))
    assert store.state(plan.nodes["a"], plan) == "partial"


def test_after_the_stop_rule_later_rounds_pass_on(store: Store, tmp_path: Path) -> None:
    stages: dict[str, Any] = {"r1": ("t_numbers", {"n": 2}), "gate": ("t_square", {"data": Ref("r1")})}
    stages |= {"r2": ("t_numbers", {"n": 3}), "use": ("t_square", {"data": Ref("r2")})}
    plan = make_plan(stages, r2={"stop_gate": "gate", "previous": "r1"})
    run_node(plan, "r1", store, report=silent)
    run_node(plan, "gate", store, report=silent)
    gate = store.folder(plan.nodes["gate"]) / "data" / "decision.json"
    gate.write_text('{"stop": true}')
    assert [run_node(plan, name, store, report=silent) for name in ("r2", "use")] == ["passed", "ran"]
    assert store.open(plan.nodes["r2"]).path == store.folder(plan.nodes["r1"])
    assert len(Rows(store.folder(plan.nodes["use"]) / "data")) == 4
    assert {store.state(node, plan) for node in plan.nodes.values()} == {"cached"}
    store.discard(store.folder(plan.nodes["r1"]))
    with pytest.raises(UserError, match="passes on an artifact that is gone"):
        store.open(plan.nodes["r2"])


def test_how_far_work_has_got(plan: Plan, store: Store) -> None:
    run_node(plan, "a", store, report=silent, shard=(0, 2))
    partial = Partial(store.partial(plan.nodes["a"]))
    assert partial.reached() == {"records": 3}
    trainer = Partial(store.partial(plan.nodes["b"]))
    trainer.folder.mkdir(parents=True)
    assert trainer.reached() == {"records": 0}
    points = [{"attempt": 1, "step": step, "loss": 1.0} for step in (10, 20)]
    (trainer.folder / "history-0-of-1.jsonl").write_text("".join(json.dumps(point) + "\n" for point in points))
    assert trainer.reached() == {"step": 20}


def not_files(path: Path) -> Iterator[Path]:
    """Puts what is no file into the place of one, in four ways."""
    for put in (path.mkdir, lambda: os.mkfifo(path), lambda: path.symlink_to("nowhere"), lambda: _socket(path)):
        path.unlink(missing_ok=True)
        put()
        yield path
        if path.is_dir():
            path.rmdir()


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one, contextlib.chdir(path.parent):  # its path may have 107 bytes
        one.bind(path.name)


@pytest.mark.parametrize("name", ["log-0-of-1.jsonl", "attempts-0-of-1.json", "history-0-of-1.jsonl", "quarantine.txt"])
def test_progress_that_is_no_file_is_set_aside(
    name: str, plan: Plan, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    """And counts as absent for whoever only reads: a named pipe would keep them waiting for ever."""
    node = plan.nodes["a"]
    run_node(plan, "a", store, report=silent, shard=(0, 1))
    for path in not_files(store.partial(node) / name):
        assert Partial(store.partial(node)).reached()["records"] in (0, 6)
        assert store.state(node, plan) == "partial"
        open_partial(store, node, plan)
        assert not os.path.lexists(path)
        assert f"{name} of {path.parent.name} is no file; it was set aside as set-aside-" in capsys.readouterr().out
    assert len(list(store.partial(node).glob(f"set-aside-*-{name}"))) == 4
    assert run_node(plan, "a", store, report=silent) == "ran"
    assert len(Rows(store.folder(node) / "data")) == 12
    assert [path.name for path in store.artifacts.iterdir()] == [store.folder(node).name]


def test_progress_that_is_no_folder_is_set_aside(plan: Plan, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    node = plan.nodes["a"]
    store.artifacts.mkdir(parents=True)
    for path in not_files(store.partial(node)):
        if not path.is_dir():
            open_partial(store, node, plan)
            assert f"{path.name} is no folder; it was set aside in {store.quarantine}" in capsys.readouterr().out
            shutil.rmtree(path)
    open_partial(store, node, plan)
    (store.partial(node) / "work").write_text("")
    assert run_node(plan, "a", store, report=silent) == "ran"
    assert "work of" in (said := capsys.readouterr().out) and "is no folder; it was set aside as" in said


def test_plans_survive_json() -> None:
    plan = make_plan({"a": ("t_numbers", {"n": 6}), "b": ("t_square", {"data": Ref("a", "data")})})
    assert plan_from_json(json.loads(json.dumps(plan_to_json(plan)))) == plan


def test_a_waiter_reuses_what_the_owner_finishes(plan: Plan, store: Store) -> None:
    node, told, outcome = plan.nodes["a"], [], []
    with claim(store, node, plan, None, told.append) as mine:
        assert mine
        waiter = threading.Thread(target=lambda: outcome.append(run_node(plan, "a", store, report=told.append)))
        waiter.start()
        while not told:
            time.sleep(0.01)
        other = dataclasses.replace(node)
        made = Store(store.root.parent / "elsewhere")
        run_node(plan, "a", made, report=silent)
        store.partial(node).mkdir(parents=True)
        os.rename(made.folder(node), store.partial(node) / "out")
        store.publish(other, store.partial(node) / "out")
    waiter.join(timeout=10)
    assert outcome == ["cached"]
    assert told == [{"event": "waiting", "owner": told[0]["owner"]}]
