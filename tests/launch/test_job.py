"""What a job does when it is asked to stop."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from data_gen.engines.base import LM, Sample, Sampling
from data_gen.engines.programs import run_programs
from launch.job import _stop
from reasoning_train.process.stopping import Stopped
from tests.data_gen.engines.tiny import engine


@pytest.fixture
def term_stops() -> Iterator[None]:
    """SIGTERM as a job handles it; an alarm ends a test that would hang."""
    before = signal.signal(signal.SIGTERM, _stop)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGTERM, before)


def test_a_stop_in_the_middle_of_a_decode_step_ends_all_programs(
    term_stops: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It arrives while the engine's own task runs; the programs wait for that task, and must not wait for ever."""
    busy = engine(slots=8)
    real, steps = busy._decoder.step, iter(range(100))

    def step() -> Any:
        if next(steps) == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return real()

    async def program(item: int, lm: LM) -> list[Sample]:
        return await lm.generate((2, 3 + item % 5), 4, Sampling(max_tokens=50))

    monkeypatch.setattr(busy._decoder, "step", step)
    with pytest.raises(Stopped):
        list(run_programs(busy, range(20), program, seed=0, key=str, in_flight=16))
