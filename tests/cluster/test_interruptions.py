"""Jobs that are queued again, stopped by a signal, killed, or lose their node: nothing lost but the work in hand, nothing doubled."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest

from tests.cluster.site import RECIPE, Site, losses, reasoning_train, rows, wait_until
from tests.cluster.site import slurm as command
from tests.cluster.slurm import Slurm

LONG = ("stages.tuned.max_steps=600", "stages.tuned.save_every=20", "stages.tuned.epochs=null")
"""Enough steps to be interrupted in, a few seconds of work."""
SLOW = "stages.sample.n=512"
NARROW = "stages.sample.engine={uses: transformers, slots: 8}"
"""Seconds a problem instead of one for all; what comes out is the same."""


@pytest.fixture(scope="session")
def straight(local: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The local run with the same longer stages."""
    sets = [part for text in (*LONG, SLOW, "stages.tuned.resources={}") for part in ("--set", text)]
    reasoning_train("run", str(RECIPE), "--store", str(local), *sets)
    return local


def checkpoints(site: Site) -> list[int]:
    return sorted(
        int(path.parent.name.rpartition("-")[2]) for partial in site.partial("sft") for path in partial.glob("work/trainer/*/whole.json")
    )


def same_curve(site: Site, straight: Path) -> None:
    theirs = dict(curve(straight, 600))
    mine = losses(site.store, "tuned")
    assert [step for step, _ in mine] == sorted(theirs)
    for step, loss in mine:
        assert loss == pytest.approx(theirs[step], rel=2e-4), step


def curve(store: Path, steps: int) -> list[tuple[int, float]]:
    """Of the `tuned` that took so many steps: a store may hold several."""
    for path in (store / "artifacts").glob("sft-*/manifest.json"):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if manifest["node"] == "tuned" and manifest["metrics"]["steps"] == steps:
            points = map(json.loads, (path.parent / "history.jsonl").read_text(encoding="utf-8").splitlines())
            return [(point["step"], point["loss"]) for point in points if "loss" in point]
    raise AssertionError(f"no training of {steps} steps in {store}")


def in_training(site: Site) -> str:
    """Wait for the first checkpoint of `tuned`; the number of its job."""
    wait_until(lambda: checkpoints(site), 120, "a checkpoint")
    return site.job("tuned")


def test_training_that_is_queued_again_goes_on_from_its_checkpoint(trained: Site, straight: Path) -> None:
    trained.submit(*LONG, SLOW)
    command("scontrol", "requeue", in_training(trained))
    trained.finish()
    assert [line["restarts"] for line in trained.told("tuned") if line["state"] == "started"] == [0, 1]
    same_curve(trained, straight)


def test_training_saves_and_is_queued_again_on_the_signal(trained: Site, straight: Path) -> None:
    trained.submit(*LONG, SLOW, "stages.tuned.save_every=100000")
    wait_until(lambda: '"event": "progress"' in trained.log("tuned"), 120, "the first steps")
    command("scancel", "--signal=USR2", trained.job("tuned"))
    wait_until(lambda: any(line["state"] == "stopped" for line in trained.told("tuned")), 60, "the stop")
    assert checkpoints(trained), "the signal made it save"
    trained.finish()
    assert "queued again 1 times" in (trained.status()["nodes"]["tuned"].get("error") or "queued again 1 times")
    same_curve(trained, straight)


def test_a_killed_step_fails_the_job_and_submit_goes_on(trained: Site, straight: Path) -> None:
    trained.submit(*LONG, SLOW)
    job = in_training(trained)
    command("scancel", "--signal=KILL", job)
    trained.finish()
    states = trained.states()
    assert (states["tuned"], states["eval"]) == ("failed", "not run")
    saved = checkpoints(trained)
    assert saved
    said = trained.submit(*LONG, SLOW)
    assert "sample" not in said.partition("recipe loopback")[2].partition("jobs,")[0], "only what is missing"
    trained.finish()
    assert trained.states()["eval"] == "ran"
    same_curve(trained, straight)


def test_sampling_that_is_queued_again_doubles_nothing(trained: Site, straight: Path) -> None:
    trained.submit(SLOW, NARROW)
    wait_until(lambda: '"event": "progress"' in trained.log("sample.shards+0-0"), 120, "the first problems")
    command("scontrol", "requeue", f"{trained.job('sample.shards+0')}_0")
    wait_until(lambda: '"event": "progress"' in trained.log("sample.shards+0-1"), 120, "the first problems")
    # scancel itself may wait for a task that is back in the queue meanwhile
    subprocess.Popen(["scancel", "--signal=USR2", f"{trained.job('sample.shards+0')}_1"])
    wait_until(lambda: any(line["state"] == "stopped" for line in trained.told("sample.shard.1")), 60, "the stop")
    trained.finish()
    assert trained.artifact("sample")[1]["log"]["duplicates"] == 0
    wanted = trained.artifact("sample")[0].name
    assert rows(trained.store, "sample") == {
        path.relative_to(straight / "artifacts" / wanted).as_posix(): path.read_bytes()
        for path in sorted((straight / "artifacts" / wanted).rglob("*.parquet"))
    }


def test_a_node_dies_in_training(trained: Site, straight: Path, slurm: Slurm) -> None:
    trained.submit(*LONG, SLOW)
    in_training(trained)
    slurm.kill_node("n2")
    wait_until(lambda: state_of(trained.job("tuned")) == "PENDING", 120, "the requeue")
    time.sleep(10)  # a dead node does not come back before its jobs are given up
    slurm.start("n2")
    trained.finish()
    same_curve(trained, straight)


def state_of(job: str) -> str:
    return command("squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T").strip()


def test_the_time_limit(trained: Site, straight: Path, tmp_path: Path) -> None:
    """SLURM counts minutes: the signal comes 45 s before the first is over, and again in every attempt."""
    profile = tmp_path / "short.yaml"
    text = Path("configs/clusters/test.yaml").read_text(encoding="utf-8")
    profile.write_text(text.replace("stop_before_s: 30", "stop_before_s: 45"), encoding="utf-8")
    sets = ("stages.tuned.max_steps=1200", "stages.tuned.epochs=null", "stages.tuned.save_every=100000", SLOW)
    trained.submit(*sets, "stages.tuned.resources.time=0:01:00", profile=profile)
    trained.finish(400)
    assert [line["state"] for line in trained.told("tuned")].count("stopped") >= 1
    assert trained.states()["tuned"] == "ran"
    assert len({step for step, _ in losses(trained.store, "tuned")}) == 120
