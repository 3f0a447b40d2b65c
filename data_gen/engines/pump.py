"""The turns of an in-process engine: let every runnable program run until it waits, take one step, hand out what
finished, again.

So branches of one program, calls of many programs and trees over different problems enter the same step; programs that
wait for tools or graders are simply not in it.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

QUIET_TURNS = 4
"""Turns of the event loop without a new request after which every program is taken to wait: a finished child wakes its
`gather`, which wakes its parent, one turn each. A request that comes later is admitted one step later; its result is
the same."""


class Stepped(Protocol):
    """What a pump drives."""

    @property
    def busy(self) -> bool:
        """Whether anything is under way."""

    def step(self) -> bool:
        """Go on a little; True if a program can go on because of it."""

    def fail(self, error: Exception) -> None:
        """A step raised: end what was under way with this error, and be usable again."""


class Pump:
    """Drives one engine in whichever event loop asks for it: a task that lives while the engine is busy."""

    def __init__(self, engine: Stepped) -> None:
        self._engine = engine
        self._task: asyncio.Task[None] | None = None
        self._arrivals = 0

    def wake(self) -> None:
        """Something new is under way."""
        self._arrivals += 1
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        resolved = True
        while True:
            await self._settle(QUIET_TURNS if resolved else 1)
            if not self._engine.busy:
                return
            try:
                resolved = self._engine.step()
            except Exception as error:
                self._engine.fail(error)
                resolved = True

    async def _settle(self, turns: int) -> None:
        quiet = 0
        while quiet < turns:
            before = self._arrivals
            await asyncio.sleep(0)
            quiet = quiet + 1 if self._arrivals == before else 0
