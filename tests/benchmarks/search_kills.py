"""kill -9 at random moments of a tree search on two shards: are the trees those of an undisturbed run, none lost, none
doubled?

The policy is a small Llama with random weights, so a tree is a matter of milliseconds and a kill falls anywhere: into
growing, recording, merging or publishing, and on the runner (with all below it) or on one process of it.
"""

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
from itertools import islice
from pathlib import Path
from typing import Any

import psutil

from reasoning_train.store.manifest import read_manifest
from tests.launch.harness import descendants, files

KILLS = 20
RECIPE = """
name: search_kills
include: [configs/models/tiny.yaml, configs/tasks/chain.yaml]
task: {explore: 120}
stages:
  trees:
    uses: search
    policy: ${model}
    problems: ${task.explore}
    gold: true
    scorer: {uses: constant}
    search: {uses: mcts, simulations: 24, wave: 2, max_depth: 8, max_length: 96, expand: {n: 4, max_tokens: 12}}
    resources: {shards: 2}
"""


def run() -> Iterator[dict[str, Any]]:
    """Runs that were killed while they were at work, and how many of them came to the undisturbed run's files, byte by
    byte."""
    with tempfile.TemporaryDirectory() as folder:
        recipe = Path(folder) / "recipe.yaml"
        recipe.write_text(RECIPE, encoding="utf-8")
        began = time.perf_counter()
        undisturbed = _finish(recipe, Path(folder) / "undisturbed")
        wall = time.perf_counter() - began
        killed = (_killed(recipe, Path(folder) / str(i), random.Random(i), wall) for i in range(4 * KILLS))
        ends = list(islice((found for found in killed if found is not None), KILLS))
    same = sum(found == undisturbed for found in ends)
    yield {
        "name": "search.identical_after_kill",
        "value": same,
        "unit": "runs",
        "target": f"{KILLS} of {KILLS}",
        "ok": same == KILLS,
    }


def _killed(recipe: Path, store: Path, draw: random.Random, wall: float) -> dict[str, bytes] | None:
    """The bytes of the trees after a kill and a second run; None where the first was over before the kill came."""
    process = subprocess.Popen(_command(recipe, store), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(draw.uniform(0.4, 1.0) * wall)  # the first part of a run imports and makes problems
    below = descendants(process.pid)
    victim = process.pid if draw.random() < 0.5 or not below else draw.choice(below).pid
    running = process.poll() is None
    with contextlib.suppress(ProcessLookupError):
        os.kill(victim, signal.SIGKILL)
    process.communicate()
    psutil.wait_procs(below, timeout=30)
    return _finish(recipe, store) if running and process.returncode != 0 else None


def _finish(recipe: Path, store: Path) -> dict[str, bytes]:
    """Run to the end; the bytes of the trees."""
    subprocess.run(_command(recipe, store), check=True, stdout=subprocess.DEVNULL)
    [trees] = [path for path in (store / "artifacts").iterdir() if (read_manifest(path) or {}).get("uses") == "search"]
    return files(trees)


def _command(recipe: Path, store: Path) -> list[str]:
    return [sys.executable, "-m", "launch.cli", "run", str(recipe), "--store", str(store)]
