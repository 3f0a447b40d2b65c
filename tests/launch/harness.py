"""Starting, watching and killing runs of hand-made plans."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from reasoning_train.api.plan import Plan
from reasoning_train.store.plan_json import write_plan
from reasoning_train.store.store import Store
from tests.launch import plugin_stages

ROOT = Path(__file__).parents[2]


def start(plan: Plan, store: Store, *, cores: int = 2, **environment: str) -> subprocess.Popen[str]:
    """Begin a run in a process of its own, with further variables of the environment. It heeds SIGHUP even if these
    tests run under `nohup`."""
    store.root.mkdir(parents=True, exist_ok=True)
    file = store.root / f"{plan.name}.plan.json"
    write_plan(file, plan)
    fixed = {"REASONING_TRAIN_PLUGINS": plugin_stages.NAME, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "tests.launch.driver", str(file), str(store.root), str(cores)]
    ours = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **fixed, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    finally:
        signal.signal(signal.SIGHUP, ours)


def run(plan: Plan, store: Store, *, cores: int = 2) -> tuple[int, str]:
    """Run to the end; exit code and output."""
    process = start(plan, store, cores=cores)
    output, _ = process.communicate(timeout=120)
    return process.returncode, output


def wait_until(true: Callable[[], object], seconds: float = 60.0) -> None:
    """Poll until something holds."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            pytest.fail("waited in vain")
        time.sleep(0.01)


def recorded(store: Store, plan: Plan, name: str) -> int:
    """Lines in the logs of a node's progress."""
    return sum(path.read_bytes().count(b"\n") for path in store.partial(plan.nodes[name]).glob("log-*"))


def descendants(pid: int) -> list[psutil.Process]:
    """All living processes below a process."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children(recursive=True)
    return []


def workers(pid: int) -> list[psutil.Process]:
    """The processes of the jobs of a run."""
    return [child for child in descendants(pid) if not child.children() and child.ppid() != pid]


def kill(process: subprocess.Popen[str]) -> None:
    """kill -9 of the runner; returns when all that it started is gone too."""
    below = descendants(process.pid)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    _, alive = psutil.wait_procs(below, timeout=30)
    assert not alive, f"outlived the runner: {alive}"


def files(folder: Path) -> dict[str, bytes]:
    """Bytes of all Parquet files of an artifact."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


def results(store: Store, plan: Plan) -> Iterator[tuple[str, dict[str, bytes]]]:
    """(node, Parquet bytes) of every node."""
    for name, node in plan.nodes.items():
        yield name, files(store.folder(node))
