"""Runs many programs over one engine behind a plain generator, a bounded number at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Generic, TypeVar

from data_gen.engines.base import LM, Engine

Item = TypeVar("Item")
Result = TypeVar("Result")


def run_programs(
    engine: Engine,
    items: Iterable[Item],
    program: Callable[[Item, LM], Awaitable[Result]],
    *,
    seed: int,
    key: Callable[[Item], str],
    in_flight: int,
    others: Sequence[Engine] = (),
) -> Iterator[tuple[Item, Result]]:
    """(item, result) of `await program(item, lm)` for every item, as they complete.

    `key(item)` (e.g. the problem's id) is the root of the program's path. With `seed` it determines every random
    stream, whatever runs beside it. Items are drawn one by one and at most `in_flight` programs are alive, so memory
    does not grow with their number. A program's exception is raised here, after the finished results, with a note that
    names the item. An exception, or closing the generator early, cancels the other programs. At the end the engine
    releases what belongs to the event loop, as do the `others` that programs use. Call it outside any event loop.

    >>> async def answer(problem, lm):                                                        # doctest: +SKIP
    ...     return await lm.generate(encode(problem.question), 4, Sampling(max_tokens=64))
    >>> answers = run_programs(engine, problems, answer, seed=0, key=lambda p: p.id, in_flight=512)  # doctest: +SKIP
    """
    with asyncio.Runner() as runner:
        crew = _Crew(engine, iter(items), program, seed, key, in_flight, others)
        try:
            while batch := runner.run(crew.advance()):
                # finished results are yielded before an error is raised
                for item, task in sorted(batch, key=lambda done: _failed(done[1])):
                    yield item, _result(task, key(item))
        finally:
            runner.run(crew.disband())


def _failed(task: asyncio.Future[Result]) -> bool:
    return task.cancelled() or task.exception() is not None


def _result(task: asyncio.Future[Result], name: str) -> Result:
    try:
        return task.result()
    except BaseException as error:
        error.add_note(f"in the program of {name!r}")
        raise


class _Crew(Generic[Item, Result]):
    """The live programs and the results that have not been taken."""

    def __init__(
        self,
        engine: Engine,
        items: Iterator[Item],
        program: Callable[[Item, LM], Awaitable[Result]],
        seed: int,
        key: Callable[[Item], str],
        in_flight: int,
        others: Sequence[Engine],
    ) -> None:
        self._others = others
        (self._engine, self._items, self._program, self._seed, self._key, self._in_flight) = (
            engine,
            items,
            program,
            seed,
            key,
            in_flight,
        )
        self._live: set[asyncio.Future[Result]] = set()  # the event loop itself holds tasks only weakly
        self._done: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._waiter: asyncio.Future[None] | None = None

    async def advance(self) -> list[tuple[Item, asyncio.Future[Result]]]:
        """Run until at least one program is finished. Returns all finished ones in order of completion. Empty at the
        end."""
        self._fill()
        if not self._done and self._live:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
            self._fill()  # now, so that the first requests of new programs enter the engine's next step
        done = list(self._done)
        self._done.clear()
        return done

    async def disband(self) -> None:
        """Cancel all running programs, then let the engines close what they run on."""
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        for engine in (self._engine, *self._others):
            await engine.aclose()

    def _fill(self) -> None:
        while len(self._live) < self._in_flight:
            try:
                item = next(self._items)
            except StopIteration:
                return
            lm = LM(self._engine, self._seed, (self._key(item),))
            task = asyncio.ensure_future(self._program(item, lm))
            self._live.add(task)
            task.add_done_callback(partial(self._finished, item))

    def _finished(self, item: Item, task: asyncio.Future[Result]) -> None:
        self._live.discard(task)
        self._done.append((item, task))
        if not task.cancelled():
            task.exception()  # the first error is raised and ends all; asyncio need not print the others
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)
