"""torchrun's command line, where the machine has a name that nobody knows."""

from __future__ import annotations

import subprocess

import pytest

from launch.job import Job
from launch.torchrun import command

NAMELESS = ["unshare", "--user", "--map-root-user", "--uts", "sh", "-c", 'hostname in-no-table && exec "$@"', "sh"]


def _works() -> bool:
    try:
        return subprocess.run([*NAMELESS, "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not _works(), reason="this system lets no user name a machine of his own")
def test_starts_on_a_machine_whose_name_cannot_be_looked_up() -> None:
    job = Job(
        id="a", plan="plan.json", node="a", shard=None, store="store", threads=1, heavy=True, log="a.log", nproc=2
    )
    line = command(job)
    launcher = line[: line.index("reasoning_train.stage") - 1]
    done = subprocess.run([*NAMELESS, *launcher, "--no-python", "true"], timeout=240, check=False)
    assert done.returncode == 0
