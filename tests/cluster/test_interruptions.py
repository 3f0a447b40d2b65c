"""Jobs that are queued again, stopped by a signal, killed, or lose their node: nothing lost but the work in hand,
nothing doubled."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.cluster.site import RECIPE, Site, losses, reasoning_train, rows, wait_until
from tests.cluster.site import slurm as command
from tests.cluster.slurm import Slurm

STEPS = 400
"""Enough to be interrupted in, a few seconds of work."""
LONG = (f"stages.tuned.max_steps={STEPS}", "stages.tuned.save_every=20", "stages.tuned.epochs=null")
SLOW = "stages.sample.n=512"
NARROW = "stages.sample.engine={uses: transformers, slots: 8}"
"""Seconds a problem instead of one for all; what comes out is the same."""


@pytest.fixture(scope="session")
def straight(local: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of local runs with the same longer stages."""
    store = tmp_path_factory.mktemp("straight") / "store"
    shutil.copytree(local, store)
    for longer in (LONG, (SLOW,)):
        sets = [part for text in (*longer, "stages.tuned.resources={}") for part in ("--set", text)]
        reasoning_train("run", str(RECIPE), "--store", str(store), *sets)
    return store


def checkpoints(site: Site) -> list[int]:
    return sorted(
        int(path.parent.name.rpartition("-")[2])
        for partial in site.partial("sft")
        for path in partial.glob("work/trainer/*/whole.json")
    )


def same_curve(site: Site, straight: Path) -> None:
    theirs = dict(curve(straight, STEPS))
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


def test_training_that_is_queued_again_goes_on_from_its_checkpoint(sampled: Site, straight: Path) -> None:
    sampled.submit(*LONG)
    command("scontrol", "requeue", in_training(sampled))
    sampled.finish()
    assert [line["restarts"] for line in sampled.told("tuned") if line["state"] == "started"] == [0, 1]
    same_curve(sampled, straight)


@pytest.mark.parametrize("number", ["USR2", "TERM"])
def test_training_saves_and_is_queued_again_on_the_signal(number: str, sampled: Site, straight: Path) -> None:
    """Also on a SIGTERM of a job that nobody cancels or preempts."""
    sampled.submit(*LONG, "stages.tuned.save_every=100000")
    wait_until(lambda: '"event": "progress"' in sampled.log("tuned"), 120, "the first steps")
    command("scancel", f"--signal={number}", sampled.job("tuned"))
    wait_until(lambda: any(line["state"] == "stopped" for line in sampled.told("tuned")), 60, "the stop")
    assert checkpoints(sampled), "the signal made it save"
    sampled.finish()
    assert sampled.status()["nodes"]["tuned"]["requeues"] == 1
    same_curve(sampled, straight)


def test_a_killed_step_fails_the_job_and_submit_goes_on(sampled: Site, straight: Path) -> None:
    sampled.submit(*LONG)
    job = in_training(sampled)
    command("scancel", "--signal=KILL", job)
    sampled.finish()
    states = sampled.states()
    assert (states["tuned"], states["eval"]) == ("failed", "not run")
    saved = checkpoints(sampled)
    assert saved
    said = sampled.submit(*LONG)
    assert "sample" not in said.partition("recipe loopback")[2].partition("jobs,")[0], "only what is missing"
    sampled.finish()
    assert sampled.states()["eval"] == "ran"
    same_curve(sampled, straight)


def test_sampling_that_is_queued_again_doubles_nothing(based: Site, straight: Path) -> None:
    based.submit(SLOW, NARROW)
    wait_until(lambda: '"event": "progress"' in based.log("sample.shards+0-0"), 120, "the first problems")
    command("scontrol", "requeue", f"{based.job('sample.shards+0')}_0")
    wait_until(lambda: '"event": "progress"' in based.log("sample.shards+0-1"), 120, "the first problems")
    # scancel itself may wait for a task that is back in the queue meanwhile
    subprocess.Popen(["scancel", "--signal=USR2", f"{based.job('sample.shards+0')}_1"])
    wait_until(lambda: any(line["state"] == "stopped" for line in based.told("sample.shard.1")), 60, "the stop")
    based.finish()
    assert based.artifact("sample")[1]["log"]["duplicates"] == 0
    wanted = based.artifact("sample")[0].name
    assert rows(based.store, "sample") == {
        path.relative_to(straight / "artifacts" / wanted).as_posix(): path.read_bytes()
        for path in sorted((straight / "artifacts" / wanted).rglob("*.parquet"))
    }


def test_a_node_dies_in_training(sampled: Site, straight: Path, slurm: Slurm) -> None:
    sampled.submit(*LONG)
    in_training(sampled)
    slurm.kill_node("n2")
    wait_until(lambda: state_of(sampled.job("tuned")) == "PENDING", 120, "the requeue")
    time.sleep(10)  # a dead node does not come back before its jobs are given up
    slurm.start("n2")
    sampled.finish()
    same_curve(sampled, straight)


def state_of(job: str) -> str:
    return command("squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T").strip()


def test_the_time_limit(sampled: Site, tmp_path: Path) -> None:
    """An attempt stops 50 s before two minutes are over, or earlier: SLURM's own signal comes up to a minute too soon.
    The next one goes on with the very next step, however many the machine does by then."""
    profile = tmp_path / "short.yaml"
    text = Path("configs/clusters/test.yaml").read_text(encoding="utf-8")
    profile.write_text(text.replace("stop_before_s: 30", "stop_before_s: 50"), encoding="utf-8")
    sets = ("stages.tuned.max_steps=1000000", "stages.tuned.epochs=null", "stages.tuned.save_every=1000000")
    sampled.submit(*sets, "stages.tuned.resources.time=0:02:00", profile=profile)
    wait_until(
        lambda: sampled.hurry() or len({attempt for attempt, _ in sampled.points()}) == 2, 400, "the second attempt"
    )
    assert [line["state"] for line in sampled.told("tuned")] == ["started", "stopped", "started"]
    steps = [step for _, step in sampled.points()]
    assert steps == list(range(10, steps[-1] + 1, 10)), "nothing is done twice or left out"
    sampled.clear()
