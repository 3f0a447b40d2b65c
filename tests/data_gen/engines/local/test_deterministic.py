"""Bitwise independence of batching: the same request gives the same ids and log-probs whatever runs beside it."""

from __future__ import annotations

import random
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from data_gen.engines.base import Request, Sample
from tests.data_gen.engines.tiny import VOCAB, ask, engine, request


@cache
def _requests() -> tuple[Request, ...]:
    rng = random.Random(5)
    settings_of = [{"temperature": 0}, {"temperature": 1.0}, {"temperature": 0.7, "top_p": 0.9}, {"stop": ("\n\n",)}]
    return tuple(
        request(
            tuple(rng.choices(range(VOCAB), k=rng.randint(1, 100))),
            (i, i + 1000)[: rng.randint(1, 2)],
            **{"max_tokens": rng.randint(1, 40), **rng.choice(settings_of)},
        )
        for i in range(48)
    )


@cache
def _alone() -> tuple[list[Sample], ...]:
    return tuple(ask(engine(slots=8, deterministic=True, end_ids=(1,)), r)[0] for r in _requests())


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(0, 47), min_size=1, max_size=48, unique=True), st.sampled_from([8, 9, 13, 32, 256]))
def test_ids_and_logprobs_are_bitwise_equal_in_any_company(chosen: list[int], slots: int) -> None:
    together = ask(engine(slots=slots, deterministic=True, end_ids=(1,)), *(_requests()[i] for i in chosen))
    assert together == [_alone()[i] for i in chosen]


def test_one_engine_gives_the_same_rows_when_asked_again() -> None:
    used = engine(slots=16, deterministic=True, end_ids=(1,))
    first = ask(used, *_requests())
    assert ask(used, *reversed(_requests())) == first[::-1]


def test_deterministic_slots_come_in_eights() -> None:
    assert [engine(slots=n, deterministic=True)._decoder.table.slots for n in (2, 8, 9)] == [8, 8, 16]
