"""torchrun: started where the machine has a name that nobody knows, and what its processes report."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from launch import torchrun
from launch.job import Job
from launch.torchrun import command, run_torchrun
from reasoning_train.worker.work import FAILED, TAKEN_OVER

NAMELESS = ["unshare", "--user", "--map-root-user", "--uts", "sh", "-c", 'hostname in-no-table && exec "$@"', "sh"]
JOB = Job(id="a", plan="plan.json", node="a", shard=None, store="store", threads=1, heavy=True, log="a.log", nproc=2)
ERROR = {"event": "error", "message": "the connection was closed by the peer", "internal": True}


def _works() -> bool:
    try:
        return subprocess.run([*NAMELESS, "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not _works(), reason="this system lets no user name a machine of his own")
def test_starts_on_a_machine_whose_name_cannot_be_looked_up() -> None:
    line = command(JOB)
    launcher = line[: line.index("reasoning_train.stage") - 1]
    done = subprocess.run([*NAMELESS, *launcher, "--no-python", "true"], timeout=240, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("said", "code", "heard"),
    [
        ([{"event": "taken over"}, ERROR], TAKEN_OVER, [{"event": "taken over"}]),
        ([ERROR, {"event": "taken over"}], TAKEN_OVER, [{"event": "taken over"}]),
        ([ERROR, {**ERROR, "message": "later"}], FAILED, [ERROR, {**ERROR, "message": "later"}]),
    ],
)
def test_the_end_of_a_taken_over_rank_is_no_error_of_the_others(
    said: list[dict[str, object]], code: int, heard: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "import json, sys; [print(json.dumps(event)) for event in json.loads(sys.argv[1])]; sys.exit(1)"
    monkeypatch.setattr(torchrun, "command", lambda job: [sys.executable, "-c", program, json.dumps(said)])
    before, reports = signal.getsignal(signal.SIGTERM), list[dict[str, object]]()
    try:
        assert run_torchrun(JOB, reports.append) == code
    finally:
        signal.signal(signal.SIGTERM, before)
    assert reports == heard
