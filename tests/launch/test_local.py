"""The local runner: caching, failures, order, threads, tables, Ctrl-C, two runs on one store."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import psutil
import pytest

from launch.runs import list_runs, read_run
from reasoning_train.api.refs import Ref
from reasoning_train.store.locks import Lock
from reasoning_train.store.manifest import read_manifest
from reasoning_train.store.rows import Rows
from reasoning_train.store.store import Store
from tests.launch.hand_plan import make_plan
from tests.launch.harness import descendants, recorded, results, run, start, wait_until


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def last_run(store: Store) -> dict:
    return json.loads((store.runs / "hand" / "latest" / "run.json").read_text())


def states(store: Store) -> dict[str, str]:
    return {name: node["state"] for name, node in last_run(store)["nodes"].items()}


def test_second_run_reuses_everything_and_prints_the_table(store: Store) -> None:
    plan = make_plan(
        {"a": ("t_numbers", {"n": 5}), "b": ("t_square", {"data": Ref("a")}), "t": ("t_table", {"data": Ref("b")})}
    )
    code, output = run(plan, store)
    assert (code, set(states(store).values())) == (0, {"ran"})
    assert "mean" in output
    code, output = run(plan, store)
    assert (code, set(states(store).values())) == (0, {"cached"})
    assert "mean" in output


def test_rows_come_in_order_whatever_the_shards(tmp_path: Path) -> None:
    stores = []
    for shards in (1, 2, 3):
        plan = make_plan({"a": ("t_numbers", {"n": 25})}, a={"resources": {"shards": shards}})
        stores.append(Store(tmp_path / str(shards)))
        assert run(plan, stores[-1])[0] == 0
    node = plan.nodes["a"]
    rows = list(Rows(stores[0].folder(node) / "data"))
    assert [(row["id"], row["position"]) for row in rows] == [(f"p{i}", at) for i in range(25) for at in range(2)]
    manifests = [read_manifest(one.folder(node)) for one in stores]
    assert manifests[0] and manifests[0]["counts"] == {"tokens.generated": 300}
    assert all(
        one and one["outputs"] == manifests[0]["outputs"] and one["counts"] == manifests[0]["counts"]
        for one in manifests
    )


def test_a_stage_whose_shards_are_done_is_published_before_shards_of_others_begin(store: Store) -> None:
    names = ["a", "b", "c"]
    shards = {name: {"resources": {"shards": 2}} for name in names}
    plan = make_plan({name: ("t_numbers", {"n": n}) for n, name in enumerate(names, 2)}, **shards)
    code, output = run(plan, store, cores=1)
    said = [words[1:3] for line in output.splitlines() if (words := line.split())[1:2] and words[1] in names]
    ends = [[name, word.rstrip(":,")] for name, word in said if word in ("merging", "done")]
    assert (code, ends) == (0, [[name, word] for name in names for word in ("merging", "done")])


def test_a_failure_stops_its_dependents_only(store: Store) -> None:
    plan = make_plan(
        {
            "bad": ("t_fail", {"how": "user"}),
            "after": ("t_square", {"data": Ref("bad")}),
            "last": ("t_table", {"data": Ref("after")}),
            "fine": ("t_numbers", {"n": 3}),
        }
    )
    code, output = run(plan, store)
    assert code == 1
    assert states(store) == {"bad": "failed", "after": "not run", "last": "not run", "fine": "ran"}
    assert output.count("the answer column is missing; set task.answer") == 1
    assert "Traceback" not in output
    log = Path(last_run(store)["nodes"]["bad"]["log"])
    assert str(log) in output
    assert "the answer column" in log.read_text()


def test_an_internal_error_has_its_traceback_in_the_log(store: Store) -> None:
    code, output = run(make_plan({"bad": ("t_fail", {"how": "bug"})}), store)
    assert code == 1
    assert "ZeroDivisionError: inside the stage" in output
    assert "Traceback" not in output
    assert "Traceback" in Path(last_run(store)["nodes"]["bad"]["log"]).read_text()


def test_a_shared_artifact_serves_another_recipe(store: Store) -> None:
    assert run(make_plan({"a": ("t_numbers", {"n": 4})}), store)[0] == 0
    assert run(make_plan({"other_name": ("t_numbers", {"n": 4})}), store)[0] == 0
    assert states(store) == {"other_name": "cached"}


@pytest.mark.slow
def test_heavy_stages_get_their_threads(store: Store) -> None:
    plan = make_plan({"a": ("t_torch", {}), "b": ("t_torch", {"tag": 1})}, b={"resources": {"threads": 2}})
    assert run(plan, store)[0] == 0
    found = {name: (read_manifest(store.folder(node)) or {})["metrics"]["threads"] for name, node in plan.nodes.items()}
    assert found == {"a": 1, "b": 2}


def test_ctrl_c_keeps_progress_and_leaves_nobody(store: Store, tmp_path: Path) -> None:
    plan = make_plan({"a": ("t_numbers", {"n": 60, "sleep_s": 0.05}), "b": ("t_square", {"data": Ref("a")})})
    process = start(plan, store)
    wait_until(lambda: recorded(store, plan, "a") >= 5)
    below = descendants(process.pid)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "run the same command again to continue" in output
    assert states(store) == {"a": "interrupted", "b": "waiting"}
    assert not psutil.wait_procs(below, timeout=10)[1]
    kept = recorded(store, plan, "a")
    assert 5 <= kept < 60
    assert run(plan, store)[0] == 0
    undisturbed = Store(tmp_path / "undisturbed")
    assert run(plan, undisturbed)[0] == 0
    assert dict(results(store, plan)) == dict(results(undisturbed, plan))


def test_two_runs_on_one_store_share_the_work(store: Store) -> None:
    plan = make_plan(
        {"a": ("t_numbers", {"n": 20, "sleep_s": 0.05}), "b": ("t_square", {"data": Ref("a"), "slow_s": 0.5})}
    )
    first, second = start(plan, store), start(plan, store)
    outputs = [process.communicate(timeout=120)[0] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), outputs
    assert "which works on the same artifact" in "".join(outputs)
    for node in plan.nodes.values():
        manifest = read_manifest(store.folder(node))
        assert manifest is not None
        assert not store.partial(node).exists()
    assert (read_manifest(store.folder(plan.nodes["a"])) or {})["log"] == {
        "records": 20,
        "duplicates": 0,
        "corrupt": [],
    }


def test_a_dead_owners_lock_does_not_hold_anybody_up(store: Store) -> None:
    plan = make_plan({"a": ("t_numbers", {"n": 3})}, a={"resources": {"shards": 1}})
    path = store.locks / f"{store.folder(plan.nodes['a']).name}.lock"
    assert Lock(path).acquire() is None
    dead = {**json.loads(path.read_text()), "pid": 2**22 - 3}
    path.write_text(json.dumps(dead))
    assert run(plan, store)[0] == 0


def test_torn_and_missing_files_are_named_set_aside_and_made_again(store: Store) -> None:
    plan = make_plan({"a": ("t_numbers", {"n": 3}), "b": ("t_square", {"data": Ref("a")})})
    assert run(plan, store)[0] == 0
    part = store.folder(plan.nodes["a"]) / "data" / "part-00000.parquet"
    whole = part.read_bytes()
    for times, (damage, said) in enumerate(
        ((whole[:-7], f"has {len(whole) - 7} bytes instead of {len(whole)}"), (None, "is missing")), 1
    ):
        part.unlink()
        if damage is not None:
            part.write_bytes(damage)
        code, output = run(plan, store)
        assert code == 0
        assert (
            f"a  the artifact of stage 'a' is damaged: data/part-00000.parquet {said}; it was set aside in "
            f"{store.quarantine}" in output
        )
        assert part.read_bytes() == whole
        assert len(list(store.quarantine.glob("t_numbers-*/manifest.json"))) == times
        assert "b  cached" in output  # the same bytes were made again


def test_an_input_with_other_bytes_is_made_again_in_the_same_run(store: Store) -> None:
    both = {"b": ("t_square", {"data": Ref("a")}), "c": ("t_square", {"data": Ref("a"), "note": "c"})}
    plan = make_plan({"a": ("t_numbers", {"n": 300}), **both})
    numbers = make_plan({"a": ("t_numbers", {"n": 300})})
    assert run(numbers, store)[0] == 0
    part = store.folder(plan.nodes["a"]) / "data" / "part-00000.parquet"
    whole = part.read_bytes()
    part.write_bytes(bytes([*whole[:100], *(byte ^ 255 for byte in whole[100:140]), *whole[140:]]))
    code, output = run(plan, store)
    assert code == 0
    assert (
        "the artifact of stage 'a' is damaged: data/part-00000.parquet has other bytes than when it was made; it was "
        "set aside" in output
    )
    assert "a is made again now" in output
    assert part.read_bytes() == whole
    assert [folder.name[:9] for folder in store.quarantine.iterdir()] == ["t_numbers"]
    assert states(store) == {"a": "ran", "b": "ran", "c": "ran"}
    assert "3 cached" in run(plan, store)[1]


def test_a_killed_run_says_so_at_once_and_another_process_of_its_number_does_not_hide_it(store: Store) -> None:
    plan = make_plan({"a": ("t_numbers", {"n": 60, "sleep_s": 0.05})})
    process = start(plan, store)
    wait_until(lambda: recorded(store, plan, "a") >= 1)
    [folder] = list_runs(store)
    assert read_run(folder)["state"] == "running"
    below = descendants(process.pid)
    process.send_signal(signal.SIGKILL)
    wait_until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
    assert read_run(folder)["state"] == "killed"  # though nobody has collected it yet
    process.communicate()
    psutil.wait_procs(below, timeout=10)
    state = json.loads((folder / "run.json").read_text())
    assert state["process"]["pid"] == process.pid
    (folder / "run.json").write_text(json.dumps({**state, "process": {**state["process"], "pid": os.getpid()}}))
    assert read_run(folder)["state"] == "killed"
