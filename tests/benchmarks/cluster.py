"""What submitting to SLURM costs, what two shards gain over one, and what a requeue loses: on the loopback cluster
(make test-cluster)."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from tests.benchmarks._skipped import skipped
from tests.cluster import slurm
from tests.cluster.site import RECIPE, Site, reasoning_train, wait_until
from tests.cluster.site import slurm as command
from tests.launch.harness import ROOT

STAGES, TASKS, SUBMISSIONS = 12, 200, 3
KILLS, INTERVAL = 20, 20
"""Kills of one training; steps between its checkpoints."""
LOGGED = 10
"""Steps between two points of a curve."""
TIMED = """
import json, sys, time
import psutil
began = psutil.Process().create_time()
from launch import cli
from launch.slurm import scheduler
spent, real = 0.0, scheduler._run
def timed(command):
    global spent
    start = time.monotonic()
    try:
        return real(command)
    finally:
        spent += time.monotonic() - start
scheduler._run = timed
code = cli.main(sys.argv[1:])
print(json.dumps({"wall": time.time() - began, "slurm": spent}))
sys.exit(code)
"""


def run() -> Iterator[dict[str, Any]]:
    """Of a SLURM that is started for it."""
    if any(shutil.which(name) is None for name in slurm.PROGRAMS) or os.geteuid() != 0:
        yield skipped("cluster", "root and SLURM (make test-cluster installs it)")
        return
    slurm.MAX_ARRAY = 1000
    with tempfile.TemporaryDirectory() as folder, slurm.Slurm(Path(folder) / "slurm") as daemons:
        yield _submit(Site(Path(folder) / "many", daemons), Path(folder))
        known = Path(folder) / "known"
        reasoning_train("run", str(RECIPE), "--store", str(known), "--set", "stages.tuned.resources={}")
        yield _shards(Path(folder), known, daemons)
        yield from _kills(_beside(Path(folder) / "killed", known, daemons))


def _submit(site: Site, folder: Path) -> dict[str, Any]:
    """Twelve stages, two of them arrays of 200 tasks: from the process's start to its end, less the time in SLURM's
    commands."""
    recipe = folder / "twelve.yaml"
    arrays = [f"  a{i}: {{uses: t_numbers, n: 400, resources: {{shards: {TASKS}}}, seed: {i}}}" for i in range(2)]
    chain = [f'  s{i}: {{uses: t_square, data: "${{stages.{f"s{i - 1}" if i else "a0"}}}"}}' for i in range(STAGES - 2)]
    recipe.write_text("\n".join(["name: twelve", "stages:", *arrays, *chain]) + "\n", encoding="utf-8")
    found = []
    for i in range(SUBMISSIONS):
        arguments = [
            "submit",
            str(recipe),
            "--cluster",
            "configs/clusters/test.yaml",
            "--store",
            str(site.store / str(i)),
        ]
        environment = {**os.environ, "REASONING_TRAIN_PLUGINS": "tests.launch.plugin_stages", "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", TIMED, *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        times = json.loads(done.stdout.splitlines()[-1])
        found.append(times["wall"] - times["slurm"])
        site.clear()
    value = sorted(found)[SUBMISSIONS // 2]
    return {
        "name": "cluster.submit_12_stages",
        "value": round(value, 2),
        "unit": "s",
        "target": "<= 3",
        "ok": value <= 3,
    }


def _beside(store: Path, known: Path, daemons: slurm.Slurm) -> Site:
    """A store of its own that has what is known but for the sample."""
    shutil.copytree(known, store, ignore=shutil.ignore_patterns("runs", "locks", "sample-*"))
    return Site(store, daemons)


def _shards(folder: Path, known: Path, daemons: slurm.Slurm) -> dict[str, Any]:
    """One shard's time over that of two, from the start of the first job to the end of the one that publishes."""
    walls = []
    for shards in (1, 2):
        site = _beside(folder / f"shards{shards}", known, daemons)
        engine = "stages.sample.engine={uses: transformers, slots: 64}"
        site.submit("stages.sample.n=8000", engine, f"stages.sample.resources.shards={shards}")
        wait_until(lambda site=site: (site.store / "artifacts").exists() and _published(site), 900, "the sample")
        told = [
            line
            for path in (site.run() / "jobs").glob("sample*.jsonl")
            for line in map(json.loads, path.read_text().splitlines())
        ]
        walls.append(max(line["time"] for line in told) - min(line["time"] for line in told))
        site.clear()
    gain = walls[0] / walls[1]
    name = f"cluster.two_shards_over_one_of_{walls[0]:.0f}_s"
    return {
        "name": name,
        "value": round(gain, 2),
        "unit": "x",
        "target": ">= 1.7",
        "ok": gain >= 1.7 and walls[0] >= 60,
    }


def _published(site: Site) -> bool:
    records = [site.run() / "jobs" / f"{name}.jsonl" for name in ("sample", "sample.merge")]
    return any(path.exists() and '"state": "ended"' in path.read_text(encoding="utf-8") for path in records)


def _kills(site: Site) -> Iterator[dict[str, Any]]:
    """kill -9 of a training on two nodes at random moments, and `submit` again: how many steps are taken twice."""
    sets = ("stages.tuned.max_steps=100000", f"stages.tuned.save_every={INTERVAL}", "stages.tuned.epochs=null")
    site.submit(*sets)
    draw, losses, told = random.Random(0), list[int](), 0
    for _ in range(KILLS + 1):
        known = len(site.points())
        wait_until(lambda known=known: len(site.points()) > known + 1, 300, "steps")
        if known:
            losses.append(_lost(told, resumed=site.points()[known][1] - LOGGED))
        time.sleep(draw.uniform(0, 10))
        _kill(site.job("tuned"))
        wait_until(lambda: not command("squeue", "--noheader").strip(), 120, "the end")
        told = max(step for _, step in site.points())
        site.submit(*sets)
    site.clear()
    kept = sum(lost <= INTERVAL for lost in losses)
    name = f"cluster.kills_that_lost_at_most_{INTERVAL}_steps"
    yield {
        "name": name,
        "value": kept,
        "unit": "kills",
        "target": f"{len(losses)} of {len(losses)}",
        "ok": kept == len(losses),
    }
    yield {"name": "cluster.steps_lost_most", "value": max(losses), "unit": "steps", "target": None, "ok": True}


def _lost(told: int, *, resumed: int) -> int:
    """Most steps that a kill can have cost: `told`, and those behind it of which nothing was told yet. There are none
    of these if the checkpoint of the step `told` was being written."""
    return told - resumed if told % INTERVAL == 0 and resumed < told else told + LOGGED - 1 - resumed


def _kill(job: str) -> None:
    """-9 for every process of a job at once; SLURM's own KILL comes after a TERM, at which trainers save."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("SLURM_JOB_ID") == job and "slurm" not in process.name():
                process.kill()
