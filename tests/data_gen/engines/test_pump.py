"""The pump over an engine that only counts: who enters which step, failing steps, one event loop after another."""

from __future__ import annotations

import asyncio

import pytest

from data_gen.engines.pump import Pump


class Counting:
    """A request takes `steps` steps; the log says how many were under way in each."""

    def __init__(self) -> None:
        self.pump = Pump(self)
        self.waiting: dict[asyncio.Future[None], int] = {}
        self.log: list[int] = []
        self.broken_at = -1

    async def ask(self, steps: int = 1) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting[future] = steps
        self.pump.wake()
        await future

    @property
    def busy(self) -> bool:
        return bool(self.waiting)

    def step(self) -> bool:
        self.log.append(len(self.waiting))
        if len(self.log) == self.broken_at:
            raise ZeroDivisionError
        self.waiting = {future: left - 1 for future, left in self.waiting.items()}
        done = [future for future, left in self.waiting.items() if left == 0]
        for future in done:
            del self.waiting[future]
            future.set_result(None)
        return bool(done)

    def fail(self, error: Exception) -> None:
        for future in self.waiting:
            future.set_exception(error)
        self.waiting = {}


async def _tree(engine: Counting, depth: int) -> None:
    await engine.ask()
    if depth:
        await asyncio.gather(_tree(engine, depth - 1), _tree(engine, depth - 1))


def test_all_that_can_run_enters_the_next_step() -> None:
    engine = Counting()

    async def programs() -> None:
        await asyncio.gather(*(_tree(engine, 3) for _ in range(10)))

    asyncio.run(programs())
    assert engine.log == [10, 20, 40, 80]


def test_short_and_long_requests_share_steps() -> None:
    engine = Counting()

    async def chain(steps: int, times: int) -> None:
        for _ in range(times):
            await engine.ask(steps)

    async def programs() -> None:
        await asyncio.gather(chain(6, 1), chain(2, 3), chain(1, 4))

    asyncio.run(programs())
    assert engine.log == [3, 3, 3, 3, 2, 2]


def test_a_program_that_waits_for_something_else_is_not_waited_for() -> None:
    engine = Counting()

    async def programs() -> None:
        tool = asyncio.Event()

        async def slow() -> None:
            await tool.wait()
            await engine.ask()

        async def fast() -> None:
            for _ in range(3):
                await engine.ask()
            tool.set()

        await asyncio.gather(slow(), fast())

    asyncio.run(programs())
    assert engine.log == [1, 1, 1, 1]


def test_a_failing_step_fails_what_it_held_and_the_pump_goes_on_in_the_next_event_loop_too() -> None:
    engine = Counting()
    engine.broken_at = 2

    async def programs() -> list[BaseException | None]:
        return await asyncio.gather(engine.ask(3), engine.ask(1), engine.ask(2), return_exceptions=True)

    first = asyncio.run(programs())
    assert [type(result) for result in first] == [ZeroDivisionError, type(None), ZeroDivisionError]
    assert asyncio.run(programs()) == [None, None, None]
    assert engine.log == [3, 2, 3, 2, 1]


def test_a_stop_gets_out_of_a_step() -> None:
    class Stopping(Counting):
        def step(self) -> bool:
            raise SystemExit("stopped")

    with pytest.raises(SystemExit, match="stopped"):
        asyncio.run(Stopping().ask())
