"""A whole recipe through the queue: an array larger than the limit, its merge, training on two nodes, evaluation,
report."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.cluster.site import Site, losses, reasoning_train, rows, slurm


def test_a_submitted_recipe_gives_what_a_local_run_gives(site: Site, local: Path) -> None:
    began = time.monotonic()
    said = site.submit()
    assert "sample.shards+5" in said and "run.report" in said
    assert site.states()["eval"] == "waiting", "it returned before the jobs were done"
    assert time.monotonic() - began < 60
    site.finish()
    status = site.status()
    assert status["state"] == "done"
    assert {entry["state"] for entry in status["nodes"].values()} == {"ran"}
    assert (site.run() / "report.html").is_file()
    for node in ("task.train", "task.train.gold", "sample", "kept"):
        assert rows(site.store, node) == rows(local, node), node
    for (step, mine), (same, theirs) in zip(losses(site.store, "tuned"), losses(local, "tuned"), strict=True):
        assert step == same and mine == pytest.approx(theirs, rel=1e-5)
    _, manifest = site.artifact("tuned")
    assert manifest["metrics"]["processes"] == 2
    assert "nothing to submit: 10 of 10 stages are finished" in site.submit()
    assert "Answer" in reasoning_train("logs", "base", "--store", str(site.store))
    assert (
        reasoning_train("logs", "sample", "--shard", "6", "--store", str(site.store)).count('"outcome": "recorded"')
        == 1
    )


def test_a_script_can_be_run_by_hand(site: Site) -> None:
    """Nothing but names is in it: what the queue runs, `sbatch` runs."""
    site.submit()
    site.clear()
    slurm("sbatch", "--wait", str(site.run() / "jobs" / "task.train.sh"))
    assert rows(site.store, "task.train")
