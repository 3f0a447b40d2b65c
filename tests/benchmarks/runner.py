"""What the runner costs beside the stages' own work, and whether it survives kills."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from reasoning_train.api.plan import Plan
from reasoning_train.api.refs import Ref
from reasoning_train.process.plugins import VARIABLE
from reasoning_train.store.manifest import read_manifest
from reasoning_train.store.store import Store
from tests.launch import plugin_stages
from tests.launch.hand_plan import make_plan
from tests.launch.harness import descendants, results, start
from tests.launch.harness import run as run_plan

STAGES = 10
KILLS = 20


def run() -> Iterator[dict[str, Any]]:
    """Overhead and caching on ten stages that need torch, then resume after kills."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _overhead(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        same = sum(_survives(Path(folder) / str(seed), random.Random(seed)) for seed in range(KILLS))
    yield {
        "name": "resume.identical_after_kill",
        "value": same,
        "unit": "runs",
        "target": f"{KILLS} of {KILLS}",
        "ok": same == KILLS,
    }


def _overhead(folder: Path) -> Iterator[dict[str, Any]]:
    recipe = folder / "ten.yaml"
    chain = [
        f"  s{i}: {{uses: t_torch, tag: {i}{f', data: {chr(34)}${{stages.s{i - 1}}}{chr(34)}' if i else ''}}}"
        for i in range(STAGES)
    ]
    recipe.write_text("name: ten\nstages:\n" + "\n".join(chain) + "\n")
    plan = make_plan({"s0": ("t_torch", {"tag": 0})})
    one, ten = _timed(lambda: run_plan(plan, Store(folder / "one"))), _timed(lambda: _command(recipe, folder))
    own = sum(float(manifest["metrics"]["own_s"]) for manifest in _manifests(folder / "ten"))
    imported = sum(bool(manifest["metrics"]["imported_torch"]) for manifest in _manifests(folder / "ten"))
    per_stage = (ten - one - own * (STAGES - 1) / STAGES) / (STAGES - 1)
    cached = min(_timed(lambda: _command(recipe, folder)) for _ in range(3))
    yield {
        "name": "runner.overhead_per_stage",
        "value": round(per_stage, 3),
        "unit": "s",
        "target": "<= 1",
        "ok": per_stage <= 1,
    }
    yield {
        "name": "runner.stages_that_import_torch",
        "value": imported,
        "unit": "stages",
        "target": f"0 of {STAGES}",
        "ok": imported == 0,
    }
    yield {
        "name": "runner.cached_ten_stages",
        "value": round(cached, 3),
        "unit": "s",
        "target": "<= 2.5",
        "ok": cached <= 2.5,
    }


def _command(recipe: Path, folder: Path) -> None:
    command = [sys.executable, "-m", "launch.cli", "run", str(recipe), "--store", str(folder / "ten")]
    subprocess.run(command, check=True, env={**os.environ, VARIABLE: plugin_stages.NAME}, stdout=subprocess.DEVNULL)


def _manifests(store: Path) -> list[dict[str, Any]]:
    return [manifest for path in (store / "artifacts").iterdir() if (manifest := read_manifest(path)) is not None]


def _timed(work: Any) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _survives(folder: Path, draw: random.Random) -> bool:
    """One undisturbed run, one killed at a random moment and resumed: the same bytes?"""
    plan = make_plan(
        {"a": ("t_numbers", {"n": 60, "sleep_s": 0.02}), "b": ("t_square", {"data": Ref("a")})},
        seed=draw.randrange(10**6),
    )
    undisturbed, killed = Store(folder / "undisturbed"), Store(folder / "killed")
    wall = _timed(lambda: run_plan(plan, undisturbed))
    _kill_after(draw.uniform(0.1, wall), plan, killed, everybody=draw.random() < 0.5, draw=draw)
    code, _ = run_plan(plan, killed)
    return code == 0 and dict(results(undisturbed, plan)) == dict(results(killed, plan))


def _kill_after(seconds: float, plan: Plan, store: Store, *, everybody: bool, draw: random.Random) -> None:
    """kill -9 of the runner, or of one of the processes below it."""
    process = start(plan, store)
    time.sleep(seconds)
    below = descendants(process.pid)
    victim = process.pid if everybody or not below else draw.choice(below).pid
    with contextlib.suppress(ProcessLookupError):
        os.kill(victim, signal.SIGKILL)
    process.communicate()
    psutil.wait_procs(below, timeout=30)
