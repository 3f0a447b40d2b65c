"""Processes whose launcher was killed end, with what they started in their group."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.launch.harness import wait_until

LAUNCHER = "import subprocess, sys; subprocess.run(sys.argv[2:], start_new_session=sys.argv[1] == 'own session')"
WORKER = """
import subprocess, sys, time
from reasoning_train.process.orphans import end_with_parent
end_with_parent()
helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
open(sys.argv[1], "w").write("ready")
time.sleep(1000)
"""


@pytest.mark.parametrize("session", ["own session", "the launcher's"])
def test_ends_when_its_launcher_is_killed(session: str, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    worker = [sys.executable, "-c", WORKER, str(ready)]
    launcher = subprocess.Popen([sys.executable, "-c", LAUNCHER, session, *worker], start_new_session=True)
    wait_until(lambda: ready.exists() and ready.read_text() == "ready")
    working, *helpers = psutil.Process(launcher.pid).children(recursive=True)
    try:
        os.kill(launcher.pid, signal.SIGKILL)
        launcher.wait()
        ended = [working, *helpers] if session == "own session" else [working]
        assert helpers and psutil.wait_procs(ended, timeout=30)[1] == []
    finally:
        for left in (working, *helpers):
            if left.is_running():
                left.kill()


@pytest.mark.slow
def test_ranks_of_torchrun_do_not_outlive_it(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")
    folder, line = tmp_path / "store", [sys.executable, "-m", "launch.cli", "run", str(recipe), "--store"]
    process = subprocess.Popen(
        [*line, str(folder), "--launcher", "torchrun", "--nproc", "2"], stdout=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: any(folder.glob("artifacts/sft-*.partial/**/whole.json")), 240)
        family = psutil.Process(process.pid).children(recursive=True)
    finally:
        process.kill()
        process.wait()
    assert len(family) >= 5, "the server, the job, torchrun and two ranks"
    assert psutil.wait_procs(family, timeout=30)[1] == []


RECIPE = """
name: endless
include: [configs/tasks/chain.yaml]
model: {init: {hidden_size: 32, layers: 1, heads: 2, intermediate_size: 64, max_length: 256}, tokenizer: task}
task: {train: 400, explore: 4, dev: 4, test: 4, steps: [1, 2]}
stages:
  base: {uses: sft, policy: "${model}", data: "${task.train.gold}", learning_rate: 0.001, max_steps: 100000,
    save_every: 20, micro_tokens: 512}
"""
