"""Batches the waiting readings of all programs into few forwards, and caches their values."""

from __future__ import annotations

import asyncio
import hashlib
from array import array
from collections import OrderedDict
from collections.abc import Callable, Sequence

from data_gen.engines.pump import QUIET_TURNS
from data_gen.verifiers.reading import Readout

Values = tuple[float, ...]
KEPT = 1 << 14
"""Most readings whose values are cached. The least recently used go first."""
FULL = 64
"""This many waiting readings are read at once, even if more are coming, so that their programs can return to the
policy's engine."""


class Gather:
    """`await gather.values(readings)` from any number of programs. `forward` gets all waiting distinct readings at
    once."""

    def __init__(self, forward: Callable[[Sequence[Readout]], list[Values]]) -> None:
        self._forward = forward
        self._known: OrderedDict[bytes, Values] = OrderedDict()
        self._waiting: dict[bytes, tuple[Readout, list[asyncio.Future[Values]]]] = {}
        self._task: asyncio.Task[None] | None = None

    async def values(self, readings: Sequence[Readout]) -> list[Values]:
        """One value for each position of every reading, in order."""
        return list(await asyncio.gather(*(self._ask(reading) for reading in readings)))

    def _ask(self, reading: Readout) -> asyncio.Future[Values]:
        key = hashlib.blake2b(
            array("q", (*reading.at, -1, *reading.cuts, -1, *reading.ids)).tobytes(), digest_size=16
        ).digest()
        future: asyncio.Future[Values] = asyncio.get_running_loop().create_future()
        if key in self._known:
            self._known.move_to_end(key)
            future.set_result(self._known[key])
            return future
        self._waiting.setdefault(key, (reading, []))[1].append(future)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())
        return future

    async def _run(self) -> None:
        """Read whenever enough readings wait or no more are coming."""
        while self._waiting:
            quiet = 0
            while quiet < QUIET_TURNS and len(self._waiting) < FULL:
                before = len(self._waiting)
                await asyncio.sleep(0)
                quiet = quiet + 1 if len(self._waiting) == before else 0
            self._read()

    def _read(self) -> None:
        waiting, self._waiting = self._waiting, {}
        live = {
            key: (reading, futures) for key, (reading, futures) in waiting.items() if not all(f.done() for f in futures)
        }
        try:
            found = self._forward([reading for reading, _ in live.values()])
        except Exception as error:
            for future in (future for _, futures in live.values() for future in futures if not future.done()):
                future.set_exception(error)
            return
        for (key, (_, futures)), values in zip(live.items(), found, strict=True):
            self._known[key] = values
            for future in futures:
                if not future.done():
                    future.set_result(values)
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
