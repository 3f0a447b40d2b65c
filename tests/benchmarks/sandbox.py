"""How many programs a second the sandbox runs and judges on all cores."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

from data_gen import sandbox
from data_gen.sandbox import tiers
from data_gen.sandbox.testing import judge

PROGRAMS = 200
JUDGED = 60
AT_A_TIME = 4
"""Jails that are open at once, for two cores: a jail also waits."""


def run() -> Iterator[dict[str, Any]]:
    """Every program gets a new jail; nothing is kept warm."""
    if tiers.bubblewrap().wrong:
        yield {"name": "sandbox", "value": None, "unit": "", "target": "a sandbox that holds: see doctor", "ok": True}
        return
    rate = asyncio.run(_rate(PROGRAMS, lambda n: sandbox.run(f"print({n} + 1)")))
    yield {"name": "programs", "value": round(rate, 1), "unit": "/s", "target": ">= 40", "ok": rate >= 40}
    rate = asyncio.run(_rate(JUDGED, lambda n: asyncio.to_thread(judge, "def f(x): return x + 1", "assert f(1) == 2")))
    yield {
        "name": "programs judged by tests",
        "value": round(rate, 1),
        "unit": "/s",
        "target": ">= 15",
        "ok": rate >= 15,
    }


async def _rate(count: int, start: Callable[[int], Any]) -> float:
    free = asyncio.Semaphore(AT_A_TIME)

    async def one(number: int) -> None:
        async with free:
            await start(number)

    await one(0)
    began = time.perf_counter()
    await asyncio.gather(*(one(number) for number in range(count)))
    return count / (time.perf_counter() - began)
