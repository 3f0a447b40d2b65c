"""Hostile programs are contained, the host is unharmed, and the next program does not notice."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from data_gen.sandbox import RunLimits, RunOutcome, Status, run_blocking
from tests.data_gen.sandbox.hostile import ENDED, HELP, REFUSED

FEW = RunLimits(cpu_s=0.5, memory=256 << 20)
REFUSING = RunLimits(cpu_s=4, memory=256 << 20)


@pytest.fixture(autouse=True)
def host(tmp_path: Path) -> Iterator[None]:
    """After each program: its jail is gone, no file was planted, and the same program as ever runs as ever."""
    root, mine = set(os.listdir("/")), set(os.listdir(Path.home()))
    yield
    assert [child for child in psutil.Process().children(recursive=True) if "bwrap" in child.name()] == []
    assert set(os.listdir("/")) == root and set(os.listdir(Path.home())) >= mine
    after = run_blocking("import os\nprint(sorted(os.listdir('/work')), sum(range(10)))")
    assert (after.stdout, after.status) == ("['.program'] 45\n", Status.OK)


def _run(program: str, limits: RunLimits) -> RunOutcome:
    return run_blocking(HELP + program, limits=limits)


@pytest.mark.parametrize("name", REFUSED)
def test_what_it_tries_is_refused(name: str) -> None:
    outcome = _run(REFUSED[name], REFUSING)
    assert "out" not in outcome.stdout.split(), outcome
    assert "refused" in outcome.stdout or outcome.status is not Status.OK or name == "fork_bomb_that_goes_on", outcome


@pytest.mark.parametrize("name", ENDED)
def test_it_is_ended(name: str) -> None:
    program, statuses = ENDED[name]
    outcome = _run(program, FEW)
    assert outcome.status in statuses, outcome
    assert outcome.seconds < FEW.wall_s + 3 and len(outcome.stdout) <= FEW.output and len(outcome.stderr) <= FEW.output
