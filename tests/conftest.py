"""Fixtures that tests of several packages share."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

import hypothesis
import psutil
import pytest

from tests.reasoning_train.bench import Bench

# In this mode alone MKL adds in one order whatever the shapes. Without it bits depend on them on some processors.
os.environ.setdefault("MKL_CBWR", "AVX2,STRICT")
hypothesis.settings.register_profile("untimed", deadline=None)  # a busy machine is no bug
hypothesis.settings.load_profile("untimed")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell ignores it for what it runs in the background, and so would every process that a test starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> None:
    """End the processes that a failed test has left behind."""
    if call.when == "call" and call.excinfo is not None:
        _kill_below(since=call.start)


def pytest_keyboard_interrupt() -> None:
    """End the processes that an interrupted test has left behind."""
    _kill_below(since=0.0)


def _kill_below(since: float) -> None:
    """Kill the descendants of this process that were started at a Unix time or later."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if process.create_time() >= since - 0.1:
                process.kill()
                found.append(process)
    psutil.wait_procs(found, timeout=5)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """An empty store and plan to add stages to."""
    return Bench(tmp_path / "store")


@pytest.fixture
def one_thread() -> None:
    """Bitwise results need one intra-op thread."""
    import torch

    torch.set_num_threads(1)
