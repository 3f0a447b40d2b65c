"""A user at the cluster: submits, looks, waits, and pulls plugs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.slurm import Slurm
from tests.launch import plugin_stages

ROOT = Path(__file__).parents[2]
RECIPE, PROFILE = Path("tests/cluster/recipe.yaml"), Path("configs/clusters/test.yaml")
SOON_S = 4
"""Seconds after which a job that was queued again may start: nodes still refuse it in the first."""
ENVIRONMENT = {**os.environ, "REASONING_TRAIN_PLUGINS": plugin_stages.NAME, "PYTHONPATH": str(ROOT)}


def reasoning_train(*arguments: str, code: int = 0) -> str:
    """The command, in a process of its own; its output. Fails the test if it ends with another code."""
    done = subprocess.run(
        [sys.executable, "-m", "launch.cli", *arguments],
        cwd=ROOT,
        env={**ENVIRONMENT, **{k: v for k, v in os.environ.items() if k.startswith("SLURM")}},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == code, f"{arguments}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout + done.stderr


def wait_until(true: Callable[[], Any], seconds: float = 120.0, what: str = "") -> Any:
    """Poll until something holds; its value."""
    end = time.monotonic() + seconds
    while not (found := true()):
        if time.monotonic() > end:
            pytest.fail(f"waited in vain for {what}\n{slurm('squeue')}")
        time.sleep(0.2)
    return found


def slurm(*command: str) -> str:
    """One of SLURM's commands."""
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


class Site:
    """A store and what is submitted from it."""

    def __init__(self, store: Path, daemons: Slurm) -> None:
        self.store, self.daemons = store, daemons

    def submit(self, *sets: str, recipe: Path = RECIPE, profile: Path = PROFILE, code: int = 0) -> str:
        """`submit`; its output."""
        return reasoning_train(
            "submit", str(recipe), "--cluster", str(profile), "--store", str(self.store), *_sets(sets), code=code
        )

    def status(self, name: str = "loopback") -> dict[str, Any]:
        """The run's state as `status --json` gives it."""
        found: dict[str, Any] = json.loads(reasoning_train("status", name, "--json", "--store", str(self.store)))[0]
        return found

    def states(self, name: str = "loopback") -> dict[str, str]:
        """Node -> state."""
        return {node: entry["state"] for node, entry in self.status(name)["nodes"].items()}

    def finish(self, seconds: float = 240.0) -> None:
        """Wait until nothing is in the queue."""
        wait_until(lambda: self.hurry() or not slurm("squeue", "--noheader").strip(), seconds, "the queue to empty")

    def hurry(self) -> None:
        """SLURM holds back for two minutes what is queued again; here it is seconds."""
        for line in slurm("squeue", "--noheader", "--array", "--format=%i|%r|%S").splitlines():
            number, reason, start = line.split("|")
            if (
                reason == "BeginTime"
                and start != "N/A"
                and datetime.fromisoformat(start) > datetime.now() + timedelta(seconds=SOON_S)
            ):
                soon = f"StartTime=now+{SOON_S}"
                subprocess.run(["scontrol", "update", f"JobId={number}", soon], check=False, capture_output=True)

    def run(self, name: str = "loopback") -> Path:
        """The folder of the latest run."""
        return self.store / "runs" / name / "latest"

    def job(self, job: str, name: str = "loopback") -> str:
        """The number of a job by its name."""
        state = json.loads((self.run(name) / "run.json").read_text(encoding="utf-8"))
        return str(state["jobs"][job]["job"])

    def told(self, record: str, name: str = "loopback") -> list[dict[str, Any]]:
        """What a job wrote of itself."""
        path = self.run(name) / "jobs" / f"{record}.jsonl"
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []

    def log(self, job: str, name: str = "loopback") -> str:
        """What a job printed so far."""
        path = self.run(name) / "logs" / f"{job}.log"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def artifact(self, node: str) -> tuple[Path, dict[str, Any]]:
        """The folder and the manifest of the finished artifact of a node."""
        return artifact(self.store, node)

    def partial(self, uses: str) -> list[Path]:
        """Folders of unfinished artifacts."""
        return list((self.store / "artifacts").glob(f"{uses}-*.partial"))

    def points(self) -> list[tuple[int, int]]:
        """(attempt, step) of the points of an unfinished training's curve, in the order in which they were told."""
        paths = [path for partial in self.partial("sft") for path in partial.glob("history-*.jsonl")]
        lines = [line for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
        return [
            (point["attempt"], point["step"])
            for point in map(json.loads, filter(lambda line: line.endswith("}"), lines))
        ]

    def clear(self) -> None:
        """Cancel everything."""
        subprocess.run(["scancel", "--user", "root"], check=False, capture_output=True)
        wait_until(lambda: not slurm("squeue", "--noheader").strip(), 60, "the queue to empty")


def artifact(store: Path, node: str) -> tuple[Path, dict[str, Any]]:
    """The folder and the manifest of the finished artifact of a node."""
    for path in (store / "artifacts").glob("*/manifest.json"):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if manifest["node"] == node:
            return path.parent, manifest
    raise AssertionError(f"{node} is not in {store}")


def rows(store: Path, node: str) -> dict[str, bytes]:
    """Bytes of all Parquet files of a node's artifact."""
    folder, _ = artifact(store, node)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


def losses(store: Path, node: str) -> list[tuple[int, float]]:
    """(step, loss) of a trainer's curve."""
    folder, _ = artifact(store, node)
    points = (json.loads(line) for line in (folder / "history.jsonl").read_text(encoding="utf-8").splitlines())
    return [(point["step"], point["loss"]) for point in points if "loss" in point]


def _sets(sets: tuple[str, ...]) -> list[str]:
    return [part for text in sets for part in ("--set", text)]
