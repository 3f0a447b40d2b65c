"""A store of several users: guards that may only be read, files that may not, folders that may not be written."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from reasoning_train.process.plugins import VARIABLE
from tests.launch import plugin_stages
from tests.launch.harness import ROOT

RECIPE = "name: small\nstages:\n  a: {uses: t_numbers, n: 6}\n  b: {uses: t_square, data: '${stages.a}'}\n"
PLAIN = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"] if os.geteuid() == 0 else []
"""What makes root a user to whom permissions apply."""


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a plain user."""
    if PLAIN and shutil.which(PLAIN[0]) is None:
        pytest.skip("root cannot give up its rights here")
    environment = {**os.environ, VARIABLE: plugin_stages.NAME, "PYTHONPATH": str(ROOT)}
    line = [*PLAIN, sys.executable, "-m", "launch.cli", *arguments, "--store", "store"]
    return subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a recipe and a store in which it has run."""
    (tmp_path / "small.yaml").write_text(RECIPE)
    done = command(tmp_path, "run", "small.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    return tmp_path


def refused(done: subprocess.CompletedProcess[str], said: str) -> bool:
    """Whether a command ended with one message and no traceback."""
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode != 0 and said in done.stdout + done.stderr


def test_a_run_tells_of_its_machine_and_an_artifact_does_not(folder: Path) -> None:
    """Where a run works is needed to see whether its process lives. Nobody needs `runs/` to use what it made."""
    store, host = folder / "store", f'"{socket.gethostname()}"'
    assert host in (store / "runs" / "small" / "latest" / "run.json").read_text()
    made = [path.read_bytes() for path in (store / "artifacts").rglob("*") if path.is_file()]
    assert len(made) > 4
    assert not any(told.encode() in content for told in (str(folder), host) for content in made)
    for path in store.iterdir():
        if path.name != "artifacts":
            shutil.rmtree(path)
    done = command(folder, "plan", "small.yaml")
    assert done.returncode == 0 and done.stdout.count("cached") == 2, done.stdout


def test_a_store_with_files_that_may_not_be_read_or_written(folder: Path) -> None:
    store = folder / "store"
    for guard in store.rglob(".guard"):
        guard.chmod(0o444)  # as that of another user whose umask was strict
    done = command(folder, "run", "small.yaml", "--set", "stages.b.note=x")
    assert done.returncode == 0, done.stdout + done.stderr

    [manifest] = store.glob("artifacts/t_numbers-*/manifest.json")
    manifest.chmod(0o000)
    for line in (["plan", "small.yaml"], ["run", "small.yaml"], ["gc"]):
        assert refused(command(folder, *line), f"{manifest.relative_to(folder)}: Permission denied"), line
    assert refused(command(folder, "doctor", "--verify"), f"{manifest.parent.name}")
    manifest.chmod(0o644)

    [newest] = sorted(store.glob("runs/small/*Z-*"))[-1:]
    newest.chmod(0o000)
    assert refused(command(folder, "gc", "--yes"), "Permission denied"), "what a hidden run uses is not known"
    newest.chmod(0o755)
    assert command(folder, "gc", "--yes").stdout.startswith("nothing to remove")

    (store / "locks").chmod(0o555)
    assert refused(command(folder, "run", "small.yaml", "--set", "stages.b.note=y"), "Permission denied")
    (store / "locks").chmod(0o755)
