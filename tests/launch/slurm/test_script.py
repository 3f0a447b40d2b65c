"""The few decisions that a job's script makes by itself, with `srun` and `scontrol` that only write down how they were
called."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from launch.slurm.jobs import make_jobs
from launch.slurm.profile import Cluster
from launch.slurm.render import record_file, render
from launch.slurm.request import make_requests
from reasoning_train.recipe.load import load_plan
from reasoning_train.store.estimate import estimate_plan
from reasoning_train.store.store import Store
from tests.launch.harness import ROOT

CLUSTER = Cluster(cpus_per_node=2, max_requeues=2)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "run" / "jobs").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    return tmp_path / "run"


def script_of(node: str, run: Path, *sets: str) -> tuple[str, Path]:
    plan, store = load_plan(ROOT / "tests/cluster/recipe.yaml", sets), Store(run.parent / "store")
    requests = make_requests(plan, CLUSTER, estimate_plan(plan, store))
    job = next(job for job in make_jobs(plan, store, CLUSTER, requests, {}) if job.node == node)
    return render(job, plan, CLUSTER, store.root, run), record_file(run, job)


def play(run: Path, script: str, srun: str, restarts: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a script; `srun` is what that command does."""
    for name, text in {"srun": srun, "scontrol": f'[ "$1" = show ] && exec cat {run}/job; kill -9 $PPID'}.items():
        path = run.parent / "bin" / name
        path.write_text(f'#!/bin/bash\necho "$@" >> {run}/{name}.calls\n{text}\n', encoding="utf-8")
        path.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{run.parent / 'bin'}:{os.environ['PATH']}",
        "SLURM_JOB_ID": "77",
        "PYTHONPATH": str(ROOT),
    }
    environment["SLURM_RESTART_COUNT"] = str(restarts)
    return subprocess.run(
        ["bash"], input=script, env=environment, cwd=run, capture_output=True, text=True, check=False, timeout=60
    )


def told(record: Path) -> list[tuple[str, int]]:
    lines = map(json.loads, Path(f"{record}.jsonl").read_text(encoding="utf-8").splitlines())
    return [(line["state"], line["code"]) for line in lines]


def calls(run: Path, name: str) -> list[str]:
    path = run / f"{name}.calls"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def test_a_rendezvous_that_fails_is_tried_on_other_ports(run: Path) -> None:
    script, record = script_of("tuned", run)
    done = play(run, script, srun=f'[ "$(wc -l < {run}/srun.calls)" -lt 3 ] && exit 1; touch {record}.began')
    assert done.returncode == 0, done.stderr
    ports = [line.partition("--rdzv-endpoint")[2].split()[0].rpartition(":")[2] for line in calls(run, "srun")]
    assert len(ports) == len(set(ports)) == 3
    assert [line.partition("--rdzv-id ")[2].split()[0] for line in calls(run, "srun")] == ["77-0-0", "77-0-1", "77-0-2"]
    assert told(record) == [("started", 0), ("ended", 0)]


def test_workers_that_began_and_failed_are_not_started_again(run: Path) -> None:
    script, record = script_of("tuned", run)
    done = play(run, script, srun=f"touch {record}.began; exit 9")
    assert done.returncode == 9
    assert len(calls(run, "srun")) == 1 and told(record) == [("started", 0), ("ended", 9)]


def test_a_stage_that_was_stopped_goes_back_to_the_queue(run: Path) -> None:
    script, record = script_of("base", run)
    play(run, script, srun=f"touch {record}.began {record}.stopped; exit 75")
    assert calls(run, "scontrol") == ["requeue 77"]
    assert told(record) == [("started", 0), ("stopped", 0)]


@pytest.mark.parametrize(
    ("job", "again"),
    [
        ("   JobState=RUNNING Reason=None\n   PreemptEligibleTime=2026-01-01T00:00:00 PreemptTime=None", True),
        ("   JobState=COMPLETING Reason=None\n   PreemptTime=None", False),
        ("   JobState=RUNNING Reason=None\n   PreemptTime=2026-01-01T00:00:00", False),
        ("", False),
    ],
    ids=["a stray signal", "cancelled", "preempted", "no answer"],
)
def test_workers_that_were_terminated_go_on_unless_the_job_was_cancelled_or_preempted(
    run: Path, job: str, again: bool
) -> None:
    (run / "job").write_text(job)
    script, record = script_of("base", run)
    done = play(run, script, srun=f"touch {record}.began {record}.terminated; exit 137")
    assert calls(run, "scontrol") == ["show job 77", *(["requeue 77"] if again else [])]
    assert told(record)[-1] == (("stopped", 0) if again else ("ended", 137))
    assert again or done.returncode == 137


def test_a_stop_of_the_attempt_before_does_not_count(run: Path) -> None:
    script, record = script_of("base", run)
    for note in ("stopped", "terminated"):
        Path(f"{record}.{note}").touch()
    done = play(run, script, srun=f"touch {record}.began", restarts=1)
    assert done.returncode == 0 and not calls(run, "scontrol") and told(record)[-1] == ("ended", 0)


def test_too_many_requeues_end_the_job(run: Path) -> None:
    script, record = script_of("base", run)
    done = play(run, script, srun="exit 0", restarts=3)
    assert done.returncode == 1 and not calls(run, "srun")
    assert "error: this job was queued again 3 times, and the profile allows 2 (max_requeues)" in done.stdout
    assert told(record) == [("started", 0), ("ended", 1)]
