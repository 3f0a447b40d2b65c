"""Programs over an engine: laziness, order, nesting, errors, cancellation."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator

import pytest

from data_gen.engines.base import LM, DuplicatePath, Request, Sample, Sampling
from data_gen.engines.programs import run_programs
from data_gen.engines.scripted import ScriptedEngine
from data_gen.errors import UserError
from tests.data_gen.engines.tiny import VOCAB, engine, once

SHORT = Sampling(max_tokens=6)


def _echo() -> ScriptedEngine:
    return ScriptedEngine(lambda prefix, seed: (*prefix, seed % 97))


async def _one(item: int, lm: LM) -> Sample:
    return (await lm.generate((item % VOCAB,), 1, SHORT))[0]


async def _search(item: int, lm: LM) -> tuple[int, ...]:
    """Three rounds: branch, extend every branch at once (one of them twice, nested), score, go on from the best."""

    async def extend(prefix: tuple[int, ...], at: LM) -> tuple[int, ...]:
        [first] = await at.generate(prefix, 1, Sampling(max_tokens=1 + item % 5))
        halves = await asyncio.gather(
            *(at.at("half", k).generate((*prefix, *first.token_ids), 1, SHORT) for k in range(2))
        )
        return (*prefix, *first.token_ids, *halves[item % 2][0].token_ids)

    best: tuple[int, ...] = (item % VOCAB, 3)
    for round_ in range(3):
        leaves = await asyncio.gather(*(extend(best, lm.at(round_, branch)) for branch in range(3)))
        scores = await asyncio.gather(*(lm.score(best, [leaf[len(best) :]]) for leaf in leaves))
        best = max(zip(leaves, scores, strict=True), key=lambda pair: sum(pair[1][0]))[0]
    return best


def test_nested_rounds_do_not_depend_on_order_width_or_company() -> None:
    items = list(range(10))
    ways = [(items, 256, 10), (items[::-1], 8, 3), (random.Random(0).sample(items, 10), 32, 1)]
    results = [
        dict(run_programs(engine(slots=slots, deterministic=True), order, _search, seed=4, key=str, in_flight=wide))
        for order, slots, wide in ways
    ]
    assert results[0] == results[1] == results[2]
    assert len(set(results[0].values())) == 10


def test_calls_of_all_programs_share_the_batch() -> None:
    assert (_count_steps(20), _count_steps(1)) == (6, 120)


def _count_steps(in_flight: int) -> int:
    counted = engine()
    steps = 0
    step = counted._decoder.step

    def count() -> list:
        nonlocal steps
        steps += 1
        return step()

    counted._decoder.step = count  # type: ignore[method-assign]
    list(run_programs(counted, range(20), _one, seed=0, key=str, in_flight=in_flight))
    return steps


def test_items_are_drawn_lazily_and_at_most_in_flight_live() -> None:
    drawn = 0

    def items() -> Iterator[int]:
        nonlocal drawn
        while drawn < 10_000:
            drawn += 1
            yield drawn

    programs = run_programs(_echo(), items(), _one, seed=0, key=str, in_flight=5)
    assert drawn == 0
    for taken, (item, sample) in enumerate(programs, 1):
        assert sample.token_ids[0] == item % VOCAB
        assert drawn <= taken + 2 * 5
    assert taken == 10_000


def test_an_exception_names_the_item_and_leaves_the_engine_usable() -> None:
    async def fails_late(item: int, lm: LM) -> Sample:
        [sample] = await lm.generate((item,), 1, Sampling(max_tokens=3 if item == 7 else 150))
        if item == 7:
            raise UserError("no such tool")
        return sample

    shared = engine()
    with pytest.raises(UserError, match="no such tool") as caught:
        list(run_programs(shared, range(10), fails_late, seed=0, key=lambda i: f"problem/{i}", in_flight=10))
    assert caught.value.__notes__ == ["in the program of 'problem/7'"]
    after = dict(run_programs(shared, range(10), _one, seed=0, key=str, in_flight=10))
    assert after == dict(run_programs(engine(), range(10), _one, seed=0, key=str, in_flight=10))
    assert not shared._decoder.busy


def test_what_is_finished_comes_before_the_error_of_another() -> None:
    """All end in one step of the event loop, the failing one first."""

    async def fails(item: int, lm: LM) -> int:
        if item == 0:
            raise UserError("the server is gone")
        return item

    results = run_programs(engine(), range(5), fails, seed=0, key=str, in_flight=5)
    assert [next(results) for _ in range(4)] == [(1, 1), (2, 2), (3, 3), (4, 4)]
    with pytest.raises(UserError, match="the server is gone"):
        next(results)


def test_a_program_that_catches_a_refused_request_does_not_hang_the_others() -> None:
    async def sometimes_too_long(item: int, lm: LM) -> int:
        try:
            return len(await lm.generate((2,) * (500 if item % 2 else 5), 1, SHORT))
        except UserError:
            return -1

    results = dict(run_programs(engine(), range(6), sometimes_too_long, seed=0, key=str, in_flight=6))
    assert results == {0: 1, 1: -1, 2: 1, 3: -1, 4: 1, 5: -1}


def test_closing_early_cancels_the_rest() -> None:
    cancelled = []

    async def waits(item: int, lm: LM) -> int:
        try:
            if item:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(item)
            raise
        return item

    programs = run_programs(_echo(), range(100), waits, seed=0, key=str, in_flight=4)
    assert next(programs) == (0, 0)
    programs.close()
    assert sorted(cancelled) == [1, 2, 3, 4]


class _Closing(ScriptedEngine):
    """Notes when it is closed, and how many of the programs' requests were then under way."""

    def __init__(self) -> None:
        super().__init__(lambda prefix, seed: prefix)
        self.waiting, self.closed = 0, []

    async def generate(self, request: Request) -> list[Sample]:
        self.waiting += 1
        try:
            if request.prefix[0] > 2:
                await asyncio.Event().wait()
            return await super().generate(request)
        finally:
            self.waiting -= 1

    async def aclose(self) -> None:
        self.closed.append(self.waiting)


def test_the_engine_is_closed_at_the_end_after_an_error_and_when_closed_early() -> None:
    async def fails(item: int, lm: LM) -> Sample:
        await _one(0, lm)
        raise UserError("broken")

    to_the_end, failed, early = _Closing(), _Closing(), _Closing()
    list(run_programs(to_the_end, range(3), _one, seed=0, key=str, in_flight=2))
    with pytest.raises(UserError, match="broken"):
        list(
            run_programs(
                failed, range(9), lambda i, lm: (fails if i == 0 else _one)(i, lm), seed=0, key=str, in_flight=9
            )
        )
    programs = run_programs(early, range(9), _one, seed=0, key=str, in_flight=9)
    next(programs)
    assert early.closed == [] and early.waiting > 0
    programs.close()
    assert to_the_end.closed == failed.closed == early.closed == [0]


def test_a_program_that_waits_for_a_tool_holds_nobody_up() -> None:
    """The tool returns only when every other program has finished; a pump that waited for it would never end."""
    finished = 0
    others_done = asyncio.Event()

    async def program(item: int, lm: LM) -> int:
        nonlocal finished
        if item == 0:
            await others_done.wait()
        for round_ in range(3):
            await lm.at(round_).generate((item,), 1, SHORT)
        finished += 1
        if finished == 7:
            others_done.set()
        return item

    results = [item for item, _ in run_programs(engine(), range(8), program, seed=0, key=str, in_flight=8)]
    assert results[-1] == 0 and sorted(results) == list(range(8))


def test_a_thread_of_a_grader_wakes_its_program() -> None:
    async def graded(lm: LM) -> int:
        [sample] = await lm.generate((2,), 1, SHORT)
        return await asyncio.to_thread(len, sample.token_ids)

    assert once(engine(), graded) == 6


def test_one_path_twice_is_an_error() -> None:
    async def twice(lm: LM) -> None:
        await lm.at("step", 1).generate((2,), 1, SHORT)
        await lm.at("step").at(1).generate((3,), 1, SHORT)

    with pytest.raises(DuplicatePath, match=r"\('item', 'step', 1\)"):
        once(_echo(), twice)


def test_an_error_in_the_items_propagates() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise UserError("row 2 is torn")

    with pytest.raises(UserError, match="row 2 is torn"):
        list(run_programs(_echo(), items(), _one, seed=0, key=str, in_flight=1))
