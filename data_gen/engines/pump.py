"""The loop of an in-process engine: let every runnable program run until it waits, take one step, return the finished
results, repeat.

Branches of one program, calls of many programs and trees over different problems thus enter the same step. Programs
that wait for tools or graders take no part in it.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

QUIET_TURNS = 4
"""Number of event-loop turns without a new request after which every program counts as waiting. A finished child wakes
its `gather`, which wakes its parent, one turn each. A later request is admitted one step later; its result is the
same."""


class Stepped(Protocol):
    """What a pump drives."""

    @property
    def busy(self) -> bool:
        """Whether any work is in progress."""

    def step(self) -> bool:
        """Do a little work. Returns whether a program can continue because of it."""

    def fail(self, error: Exception) -> None:
        """A step raised this error: end all work in progress with it, and stay usable."""


class Pump:
    """Drives one engine in the event loop that asks for it, by a task that lives while the engine is busy."""

    def __init__(self, engine: Stepped) -> None:
        self._engine = engine
        self._task: asyncio.Task[None] | None = None
        self._arrivals = 0

    def wake(self) -> None:
        """Call this after adding work."""
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
