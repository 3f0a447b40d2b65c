"""Hostile programs are contained, the host is unharmed, and the next program does not notice."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from data_gen.sandbox import RunLimits, RunOutcome, Status, run_blocking
from tests.data_gen.sandbox.hostile import ENDED, HELP, REFUSED

LIMITS = RunLimits(cpu_s=1, memory=256 << 20)
REFUSING = RunLimits(cpu_s=5, memory=256 << 20)
"""For those that end by themselves: no busy machine ends them first."""
AFTER = "import os\nprint(sorted(os.listdir('/box')), sum(range(10)))"
AT_A_TIME = 8
"""Most of them wait for their end."""


def _host() -> tuple[set[str], int]:
    """What programs might change: the names in the root folder, and the size of the interpreter's library."""
    return set(os.listdir("/")), os.stat(os.__file__).st_size


def _run(name: str) -> tuple[RunOutcome, RunOutcome]:
    """A program, and the harmless one that runs after it."""
    program, limits = (REFUSED[name], REFUSING) if name in REFUSED else (ENDED[name][0], LIMITS)
    return run_blocking(HELP + program, limits=limits), run_blocking(AFTER)


@pytest.fixture(scope="module")
def outcomes() -> dict[str, tuple[RunOutcome, RunOutcome]]:
    """All of them, side by side. Then their jails are gone, and the host is as before."""
    before, home = _host(), set(os.listdir(Path.home()))
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        found = dict(zip([*REFUSED, *ENDED], pool.map(_run, [*REFUSED, *ENDED]), strict=True))
    assert [child for child in psutil.Process().children(recursive=True) if "bwrap" in child.name()] == []
    assert _host() == before and set(os.listdir(Path.home())) >= home
    return found


@pytest.mark.parametrize("name", REFUSED)
def test_what_it_tries_is_refused(name: str, outcomes: dict[str, tuple[RunOutcome, RunOutcome]]) -> None:
    outcome, _ = outcomes[name]
    assert "out" not in outcome.stdout.split(), outcome
    assert "refused" in outcome.stdout or outcome.status is not Status.OK or name == "fork_bomb_that_goes_on", outcome


@pytest.mark.parametrize("name", ENDED)
def test_it_is_ended(name: str, outcomes: dict[str, tuple[RunOutcome, RunOutcome]]) -> None:
    outcome, _ = outcomes[name]
    assert outcome.status in ENDED[name][1], outcome
    assert outcome.seconds < LIMITS.wall_s + 3
    assert len(outcome.stdout) <= LIMITS.output and len(outcome.stderr) <= LIMITS.output


def test_the_next_program_does_not_notice(outcomes: dict[str, tuple[RunOutcome, RunOutcome]]) -> None:
    after = {name: (outcome.stdout, outcome.status) for name, (_, outcome) in outcomes.items()}
    assert after == dict.fromkeys(outcomes, ("['.program'] 45\n", Status.OK))


def test_there_are_enough_of_them() -> None:
    assert len(REFUSED) + len(ENDED) >= 40
