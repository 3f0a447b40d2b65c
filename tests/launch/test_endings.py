"""How a run ends when it is interrupted, when nobody reads its output, and when the process that starts stages dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from launch.endings import ending, meaning, starvations
from reasoning_train.api.plan import Plan
from reasoning_train.process.plugins import VARIABLE
from reasoning_train.store.store import Store
from tests.launch import plugin_stages
from tests.launch.hand_plan import make_plan
from tests.launch.harness import ROOT, descendants, recorded, start, wait_until


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def plan() -> Plan:
    return make_plan({name: ("t_numbers", {"n": 200 + at, "sleep_s": 0.03}) for at, name in enumerate("abc")})


def states(store: Store) -> dict[str, str]:
    nodes = json.loads((store.runs / "hand" / "latest" / "run.json").read_text())["nodes"]
    return {name: node["state"] for name, node in nodes.items()}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_one_signal_ends_a_run_whose_stages_wait_for_a_core(number: int, store: Store, plan: Plan) -> None:
    process = start(plan, store, cores=1)
    wait_until(lambda: recorded(store, plan, "a") >= 2)
    below = descendants(process.pid)
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 130, output
    assert set(states(store).values()) == {"interrupted"}
    assert not psutil.wait_procs(below, timeout=10)[1]
    assert recorded(store, plan, "a") < 200


def test_a_run_whose_reader_goes_away_stops_and_does_not_say_that_all_is_well(store: Store, plan: Plan) -> None:
    process = start(plan, store, cores=1)
    wait_until(lambda: recorded(store, plan, "a") >= 2)
    below = descendants(process.pid)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(timeout=60) == 141
    assert states(store)["a"] == "interrupted"
    assert not psutil.wait_procs(below, timeout=10)[1]
    assert 2 <= recorded(store, plan, "a") < 200


def test_a_server_that_cannot_start_is_not_called_a_lack_of_memory(tmp_path: Path, store: Store, plan: Plan) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nif 'launch.fork_server' in sys.orig_argv: sys.modules['filelock'] = None\n"
    )
    process = start(plan, store, PYTHONPATH=str(tmp_path))
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "a  failed: the process that starts the stages ended with exit code 1 (ModuleNotFoundError: " in output
    assert "memory" not in output and "Traceback" not in output


RECIPE = "name: small\nstages:\n  a: {uses: t_numbers, n: 6}\n  b: {uses: t_square, data: '${stages.a}'}\n"


def command(line: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """A shell line in which `$RT` is the command."""
    (tmp_path / "small.yaml").write_text(RECIPE)
    environment = {**os.environ, VARIABLE: plugin_stages.NAME, "PYTHONPATH": str(ROOT)}
    environment |= {"RT": f"{sys.executable} -m launch.cli", "REASONING_TRAIN_STORE": "store"}
    return subprocess.run(
        ["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.parametrize("closed", ["<&-", "<&- >&- 2>&-"])
def test_a_run_goes_through_with_its_standard_streams_closed(closed: str, tmp_path: Path) -> None:
    done = command(f"$RT run small.yaml {closed}", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len([path for path in (tmp_path / "store" / "artifacts").iterdir() if path.suffix != ".partial"]) == 2
    assert not list(tmp_path.glob("store/**/*.lock"))


@pytest.mark.parametrize("line", ["$RT list stages | true", "$RT list stages > /dev/full"])
def test_a_list_that_nobody_reads_ends_with_a_code_and_without_a_traceback(line: str, tmp_path: Path) -> None:
    if "/dev/full" in line and not Path("/dev/full").exists():
        pytest.skip("this system has no device that is always full")
    done = command(f"set -o pipefail; {line}", tmp_path)
    assert done.returncode == 141
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


@pytest.mark.parametrize(
    ("code", "text"),
    [(-9, "was killed by signal 9 (SIGKILL)"), (-50, "was killed by signal 50"), (3, "ended with exit code 3")],
)
def test_how_a_process_ended(code: int, text: str) -> None:
    assert ending(code) == text


def test_want_of_memory_is_said_only_where_the_system_counts_it() -> None:
    assert "the system was out of memory" in meaning(-9, True)
    assert "not for want of memory" in meaning(-9, False)
    assert "by somebody or, for want of memory, by the system" in meaning(-9, None)
    for code in (-15, -11, 1):
        assert "memory" not in meaning(code, True)
    assert meaning(2, None) == "bad input"
    count = starvations()
    assert count is None or count >= 0
