"""Submitting beside others, after failures, and cancelling: with stages that only count, so that what is tested is the
queue."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.site import ENVIRONMENT, PROFILE, ROOT, Site, reasoning_train, rows, slurm, wait_until

COUNTING = """
name: counting
stages:
  numbers: {uses: t_numbers, n: 14, sleep_s: SLEEP, resources: {shards: 7}}
  squared: {uses: t_square, data: "${stages.numbers}"}
  failing: {uses: t_fail, data: "${stages.squared}", how: user}
  after: {uses: t_square, data: "${stages.failing}"}
  beside: {uses: t_square, data: "${stages.numbers}", note: beside}
"""


@pytest.fixture
def counting(tmp_path: Path) -> Path:
    """Seven shards, a stage that fails, one after it and one beside it."""
    path = tmp_path / "counting.yaml"
    path.write_text(COUNTING.replace("SLEEP", "0.1"), encoding="utf-8")
    return path


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """The same without the failure, and slow enough to be met at work."""
    path = tmp_path / "counting.yaml"
    lines = [line for line in COUNTING.replace("SLEEP", "1.5").splitlines() if "failing" not in line]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_a_failing_stage_cancels_what_needs_it_and_submit_goes_on(site: Site, counting: Path) -> None:
    site.submit(recipe=counting)
    site.finish()
    assert site.states("counting") == {
        "numbers": "ran",
        "squared": "ran",
        "failing": "failed",
        "after": "not run",
        "beside": "ran",
    }
    nodes = site.status("counting")["nodes"]
    assert nodes["failing"]["error"] == "the answer column is missing; set task.answer"
    assert nodes["after"]["error"] == "cancelled: needs failing, which failed"
    assert site.status("counting")["state"] == "failed"
    assert "the answer column is missing" in reasoning_train("logs", "failing", "--store", str(site.store))
    counting.write_text(
        counting.read_text(encoding="utf-8").replace("t_fail", "t_square").replace(", how: user", ""), encoding="utf-8"
    )
    said = site.submit(recipe=counting)
    assert "3 jobs, 3 stages finished" in said  # failing, after, the report
    site.finish()
    assert set(site.states("counting").values()) == {"cached", "ran"}


def test_two_submissions_at_once_share_the_work(site: Site, slow: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "launch.cli",
        "submit",
        str(slow),
        "--cluster",
        str(PROFILE),
        "--store",
        str(site.store),
    ]
    environment = {**ENVIRONMENT, "SLURM_CONF": os.environ["SLURM_CONF"]}
    both = [subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = sorted((process.communicate(timeout=120)[0] for process in both), key=len)
    assert [process.returncode for process in both] == [0, 0]
    assert "nothing to submit: 0 of 3 stages are finished; 3 are being made by jobs" in said[0]
    assert "6 jobs, 0 stages finished" in said[1]
    site.finish()
    _, manifest = site.artifact("numbers")
    assert manifest["log"] == {"records": 14, "duplicates": 0, "corrupt": []}
    assert manifest["attempts"] == 7


def test_a_recipe_waits_for_what_another_one_makes(site: Site, slow: Path, tmp_path: Path) -> None:
    site.submit(recipe=slow)
    other = tmp_path / "other.yaml"
    text = (
        slow.read_text(encoding="utf-8").replace("name: counting", "name: other").replace("note: beside", "note: mine")
    )
    other.write_text(text, encoding="utf-8")
    said = site.submit(recipe=other)
    assert "2 made by earlier submissions" in said and "numbers" not in said
    site.finish()
    assert site.states("other") == {"numbers": "ran", "squared": "ran", "beside": "ran"}
    assert site.artifact("numbers")[1]["attempts"] == 7


def test_cancelled_half_way_and_submitted_again(site: Site, slow: Path) -> None:
    site.submit(recipe=slow)
    wait_until(lambda: site.told("numbers.shard.2", "counting"), 60, "the third shard")
    assert "jobs cancelled; finished work is kept" in reasoning_train("cancel", "counting", "--store", str(site.store))
    wait_until(lambda: not slurm("squeue", "--noheader").strip(), 60, "the queue to empty")
    states = site.states("counting")
    assert states == {"numbers": "cancelled", "squared": "cancelled", "beside": "cancelled"}
    site.submit(recipe=slow)
    site.finish()
    assert site.states("counting")["beside"] == "ran"
    _, manifest = site.artifact("numbers")
    assert manifest["log"]["duplicates"] == 0 and manifest["log"]["records"] == 14
    assert len(rows(site.store, "numbers")) >= 1


def test_a_job_that_is_refused_takes_the_others_along(site: Site, counting: Path, tmp_path: Path) -> None:
    profile = tmp_path / "wrong.yaml"
    profile.write_text("partition: nowhere\n", encoding="utf-8")
    said = site.submit(recipe=counting, profile=profile, code=2)
    assert "`sbatch --parsable" in said and "failed: " in said and "0 jobs submitted before it were cancelled" in said
    assert not slurm("squeue", "--noheader").strip()
    assert site.status("counting")["state"] == "refused"
    assert "has no submitted run" in reasoning_train("cancel", "counting", "--store", str(site.store), code=2)


def test_a_job_that_is_queued_again_too_often_fails(site: Site, slow: Path, tmp_path: Path) -> None:
    profile = tmp_path / "once.yaml"
    profile.write_text(PROFILE.read_text(encoding="utf-8") + "max_requeues: 0\n", encoding="utf-8")
    site.submit("stages.numbers.resources.shards=1", "stages.numbers.sleep_s=1.0", recipe=slow, profile=profile)
    wait_until(lambda: site.told("numbers", "counting"), 60, "the start")
    slurm("scontrol", "requeue", site.job("numbers", "counting"))
    site.finish()
    assert (
        "this job was queued again 1 times, and the profile allows 0 (max_requeues)"
        in site.status("counting")["nodes"]["numbers"]["error"]
    )
