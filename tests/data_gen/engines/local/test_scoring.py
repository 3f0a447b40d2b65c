"""Many continuations of one prefix as one forward, against plain forwards; and what it leaves in the store."""

from __future__ import annotations

import asyncio
import copy
import random
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data_gen.engines.base import LM
from data_gen.engines.local import scoring
from data_gen.engines.local.engine import TransformersEngine
from data_gen.engines.programs import run_programs
from tests.data_gen.engines.tiny import VOCAB, ask, engine, model, request, tokenizer

Call = tuple[tuple[int, ...], list[tuple[int, ...]]]


@cache
def _calls() -> tuple[Call, ...]:
    """Twenty calls; some prefixes begin alike, some continuations are empty or long."""
    rng = random.Random(11)
    header = tuple(rng.choices(range(VOCAB), k=40))

    def ids(most: int) -> tuple[int, ...]:
        return tuple(rng.choices(range(VOCAB), k=rng.randint(0, most)))

    return tuple(
        (
            (*header[: rng.choice([0, 20, 40])], 3, *ids(60)),
            [ids(rng.choice([1, 8, 40])) for _ in range(rng.randint(1, 12))],
        )
        for _ in range(20)
    )


ROUNDING = 2e-6
"""Bound on a difference between log-probabilities, in nats. The forwards compared are of double precision, so all that
differs is that the engine gives scores in single precision."""


@cache
def _double() -> Any:
    return copy.deepcopy(model()).double()


def _exact(**options: Any) -> TransformersEngine:
    """A fresh engine over the model in double precision."""
    return TransformersEngine(_double(), tokenizer(), **{"end_ids": (), **options})


def _plain(call: Call) -> list[list[float]]:
    prefix, continuations = call
    scores = []
    for continuation in continuations:
        with torch.no_grad():
            logprobs = _double()(torch.tensor([[*prefix, *continuation]])).logits[0].log_softmax(-1)
        scores.append([logprobs[len(prefix) - 1 + i, token].item() for i, token in enumerate(continuation)])
    return scores


def _score(engine: TransformersEngine, calls: list[Call]) -> list[list[list[float]]]:
    async def gather() -> list[list[list[float]]]:
        return list(await asyncio.gather(*(engine.score(*call) for call in calls)))

    return asyncio.run(gather())


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("prefix_columns", [None, 0])
def test_scores_equal_plain_forwards(deterministic: bool, prefix_columns: int | None) -> None:
    scorer = _exact(deterministic=deterministic, prefix_columns=prefix_columns)
    for got, call in zip(_score(scorer, list(_calls())), _calls(), strict=True):
        for mine, plain in zip(got, _plain(call), strict=True):
            assert mine == pytest.approx(plain, abs=ROUNDING)
    assert scorer.usage.scored_tokens == sum(len(c) for _, continuations in _calls() for c in continuations)
    assert scorer._prefixes.store.stored == 0


@cache
def _alone() -> list[list[list[float]]]:
    return [
        _score(engine(deterministic=True), [(prefix, [c])])[0][0] if c else [] for prefix, cs in _calls() for c in cs
    ]


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(0, 19), min_size=1, unique=True), st.booleans())
def test_deterministic_scores_are_bitwise_independent_of_company(chosen: list[int], warm: bool) -> None:
    scorer = engine(deterministic=True)
    if warm:
        ask(scorer, *(request(prefix, max_tokens=3) for prefix, _ in _calls()[:7]))
    firsts = [sum(len(cs) for _, cs in _calls()[:i]) for i in chosen]
    wanted = [_alone()[first : first + len(_calls()[i][1])] for i, first in zip(chosen, firsts, strict=True)]
    assert _score(scorer, [_calls()[i] for i in chosen]) == wanted


def test_a_prefix_that_was_generated_is_not_computed_again() -> None:
    both = _exact()
    prefix = tuple(random.Random(3).choices(range(VOCAB), k=70))
    [[sample]] = ask(both, request(prefix, max_tokens=10))
    path = (*prefix, *sample.token_ids)
    stored = both._prefixes.store.stored
    [scores] = _score(both, [((*path, 5, 6, 7), [(2,), (3, 4)])])
    assert both.usage.cached_tokens == 79  # the sample's last token was never fed
    assert both._prefixes.store.stored == stored
    for mine, plain in zip(scores, _plain(((*path, 5, 6, 7), [(2,), (3, 4)])), strict=True):
        assert mine == pytest.approx(plain, abs=ROUNDING)


def test_calls_of_all_programs_are_one_forward_each_for_prefixes_and_continuations() -> None:
    counted, forwards = _exact(), []
    hook = _double().register_forward_pre_hook(lambda *_: forwards.append(1))
    calls = [((4, 5, 6, number), [(1, 2), (3,), (9, 9, 9)]) for number in range(10)]

    async def program(item: tuple[int, Call], lm: LM) -> list[list[float]]:
        return await lm.score(*item[1])

    done = run_programs(counted, list(enumerate(calls)), program, seed=0, key=str, in_flight=10)
    results = {number: scores for (number, _), scores in done}
    hook.remove()
    assert len(forwards) == 2
    assert all(
        results[i][k] == pytest.approx(_plain(call)[k], abs=ROUNDING) for i, call in enumerate(calls) for k in range(3)
    )


def test_rows_and_batches_are_cut_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _score(_exact(), list(_calls()))
    monkeypatch.setattr(scoring, "PACKED_TOKENS", 5)
    monkeypatch.setattr(scoring, "SCORE_LOGITS", 300)
    for cut, full in zip(_score(_exact(), list(_calls())), whole, strict=True):
        for a, b in zip(cut, full, strict=True):
            assert a == pytest.approx(b, abs=ROUNDING)
