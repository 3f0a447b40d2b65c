"""Requests that go on from what was computed before: the same bits whatever is still stored, and less to compute."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data_gen.engines.base import LM, Request, Sample, Sampling
from data_gen.engines.local.engine import TransformersEngine
from data_gen.engines.programs import run_programs
from tests.data_gen.engines.tiny import CONTEXT, VOCAB, ask, engine, model, request

Nodes = list[tuple[tuple[int, ...], list[Sample]]]
"""(prefix, its samples) of every request of a tree, in the order of asking."""
TREES = 8


async def _tree(number: int, lm: LM) -> Nodes:
    """A random search: each wave goes on from the ends or from the middles of earlier samples, one to three requests at
    once."""
    rng = random.Random(number)
    prompt = tuple(rng.choices(range(VOCAB), k=rng.choice([1, 31, 33, 40, 70, 90])))
    done: Nodes = []
    prefixes = [prompt]
    for wave in range(3):
        asks = [(rng.choice(prefixes), rng.randint(1, 4), _sampling(rng)) for _ in range(rng.randint(1, 3))]
        calls = (lm.at(wave, i).generate(p, n, s, prompt_length=len(prompt)) for i, (p, n, s) in enumerate(asks))
        for (prefix, _, _), samples in zip(asks, await asyncio.gather(*calls), strict=True):
            done.append((prefix, samples))
            for sample in samples:
                cut = rng.choice([len(sample.token_ids), rng.randint(0, len(sample.token_ids))])
                prefixes.append((*prefix, *sample.token_ids[:cut]))
    return done


def _sampling(rng: random.Random) -> Sampling:
    return Sampling(
        max_tokens=rng.choice([1, 2, 7, 12]), temperature=rng.choice([0.0, 1.0]), stop=rng.choice([(), ("\n\n",)])
    )


class _Forgetful:
    """An engine that serves one request at a time and remembers none."""

    seeded = True

    def __init__(self, inner: TransformersEngine) -> None:
        self.inner, self.usage, self._lock = inner, inner.usage, asyncio.Lock()

    async def generate(self, request: Request) -> list[Sample]:
        async with self._lock:
            self.inner.forget()
            return await self.inner.generate(request)

    async def score(self, prefix: Sequence[int], continuations: Sequence[Sequence[int]]) -> list[list[float]]:
        return await self.inner.score(prefix, continuations)

    async def aclose(self) -> None:
        await self.inner.aclose()


def _grow(trees: Sequence[int], in_flight: int, engine: Any) -> dict[int, Nodes]:
    return dict(run_programs(engine, trees, _tree, seed=3, key=str, in_flight=in_flight))


@cache
def _forgotten() -> dict[int, Nodes]:
    """The trees as they grow where every path is computed anew, alone."""
    return _grow(range(TREES), 1, _Forgetful(engine(deterministic=True, slots=8)))


@settings(max_examples=8, deadline=None)
@given(
    st.lists(st.integers(0, TREES - 1), min_size=1, unique=True),
    st.integers(1, TREES),
    st.sampled_from([8, 16, 256]),
    st.sampled_from([None, CONTEXT, CONTEXT + 60, 500]),
)
def test_trees_are_bitwise_equal_whatever_is_stored_and_who_is_there(
    trees: list[int], in_flight: int, slots: int, prefix_columns: int | None
) -> None:
    grown = _grow(trees, in_flight, engine(deterministic=True, slots=slots, prefix_columns=prefix_columns))
    assert grown == {number: _forgotten()[number] for number in trees}


def test_little_room_forgets_and_replays() -> None:
    roomy, tight = (engine(deterministic=True, prefix_columns=columns) for columns in (None, CONTEXT))
    assert _grow(range(TREES), TREES, roomy) == _grow(range(TREES), TREES, tight)
    assert tight.usage.cached_tokens < 0.9 * roomy.usage.cached_tokens
    assert tight._prefixes.store.stored <= CONTEXT
    assert tight._prefixes.pool.layers[0][0].shape[1] <= CONTEXT
    assert roomy.usage.generated_tokens == tight.usage.generated_tokens == sum(_lengths(_forgotten()))


def _lengths(trees: dict[int, Nodes]) -> list[int]:
    return [len(sample.token_ids) for nodes in trees.values() for _, samples in nodes for sample in samples]


def test_queries_that_share_a_head_keep_their_bits_at_every_length() -> None:
    """Four query heads on one key-value head are the shape whose products MKL sums in another order at some widths."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCAB,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=1,
        max_position_embeddings=900,
        initializer_range=0.2,
    )
    shared = LlamaForCausalLM(config).eval()
    rng = random.Random(0)
    asked = [
        request(tuple(rng.choices(range(VOCAB), k=k)), (k,), max_tokens=3)
        for k in (3, 180, 200, 260, 330, 400, 740, 800)
    ]
    together = ask(TransformersEngine(shared, None, end_ids=(), deterministic=True), *asked)
    alone = [ask(TransformersEngine(shared, None, end_ids=(), deterministic=True), one)[0] for one in asked]
    assert together == alone


def test_greedy_steps_of_a_path_equal_one_generate() -> None:
    stepping = engine()
    prompt = tuple(random.Random(2).choices(range(VOCAB), k=50))
    path = prompt
    for _ in range(9):
        [samples] = ask(stepping, request(path, (0, 1), temperature=0, max_tokens=11))
        path += samples[0].token_ids
    ids = torch.tensor([prompt])
    wanted = model().generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=99, do_sample=False, eos_token_id=None, pad_token_id=0
    )
    assert path == tuple(wanted[0].tolist())
    assert stepping.usage.cached_tokens == sum(49 + 11 * step for step in range(1, 9))


def test_a_path_is_found_from_any_of_its_ends_and_other_endings_share_it() -> None:
    used = engine()
    prompt = tuple(random.Random(4).choices(range(2, VOCAB), k=60))
    [[sample]] = ask(used, request(prompt, max_tokens=20))
    whole = (*prompt, *sample.token_ids)
    for prefix, cached in [
        (whole, 78 + 1),
        (whole[:70], 69),
        ((*whole[:70], 0), 70),
        ((*whole[:70], 0, 3), 71),
        (whole[:40], 39),
    ]:
        before = used.usage.cached_tokens
        [[again]] = ask(used, request(prefix, max_tokens=1, temperature=0))
        assert used.usage.cached_tokens - before == cached
        assert again.logprobs == pytest.approx(
            ask(engine(), request(prefix, max_tokens=1, temperature=0))[0][0].logprobs, abs=1e-5
        )


def test_what_a_miss_leaves_is_prefilled_behind_what_is_stored() -> None:
    rng = random.Random(6)
    header = tuple(rng.choices(range(VOCAB), k=64))
    prefixes = [(*header, *rng.choices(range(VOCAB), k=rng.randint(1, 60))) for _ in range(30)]
    warm = engine()
    ask(warm, request(header, max_tokens=1))
    both = [ask(one, *(request(p, (i,)) for i, p in enumerate(prefixes))) for one in (warm, engine())]
    for [behind], [whole] in zip(*both, strict=True):
        assert behind.token_ids == whole.token_ids
        assert behind.logprobs == pytest.approx(whole.logprobs, abs=1e-5)
    assert warm.usage.cached_tokens >= 30 * 63


def test_equal_prefixes_that_come_at_once_are_computed_once() -> None:
    fresh = engine()
    prefix = tuple(range(2, 16)) * 3
    samples = ask(fresh, *(request(prefix, (i,)) for i in range(6)))
    assert [s.token_ids for [s] in samples] == [ask(engine(), request(prefix, (i,)))[0][0].token_ids for i in range(6)]
    assert fresh.usage.cached_tokens == 5 * (len(prefix) - 1)


def _anything(rng: random.Random) -> Request:
    prefix = tuple(rng.choices(range(VOCAB), k=rng.randint(1, 60)))
    return Request(
        prefix=prefix, seeds=(1, 2), sampling=Sampling(max_tokens=rng.randint(1, 9)), prompt_length=rng.randint(1, 60)
    )


@pytest.mark.parametrize("deterministic", [False, True])
def test_a_long_run_stays_in_its_room(deterministic: bool) -> None:
    small = engine(prefix_columns=400, deterministic=deterministic)
    rng = random.Random(8)
    for _ in range(4):
        ask(small, *(_anything(rng) for _ in range(20)))
        assert small._prefixes.store.stored <= 400
    assert small._prefixes.pool.layers[0][0].shape[1] <= 400
    small.forget()
    assert small._prefixes.store.stored == 0  # so nothing is pinned


def test_cancelled_rows_leave_no_pin_and_no_trace() -> None:
    shared = engine(slots=4, end_ids=())
    prefix = tuple(range(2, 16)) * 4
    wanted = ask(engine(), request(prefix, (7,)))[0]

    async def cancel_midway() -> list[Sample]:
        long = request(prefix, tuple(range(9)), max_tokens=120)
        doomed = [
            asyncio.ensure_future(shared.generate(one))
            for one in (long, long, request(prefix[:30], (1,), max_tokens=100))
        ]
        for _ in range(50):
            await asyncio.sleep(0)
        assert shared.usage.generated_tokens
        for task in doomed:
            task.cancel()
        return await shared.generate(request(prefix, (7,)))

    assert asyncio.run(cancel_midway()) == wanted
    shared.forget()
    assert shared._prefixes.store.stored == 0


def test_a_failed_step_leaves_no_pin() -> None:
    broken = engine()
    with pytest.raises(IndexError):
        ask(broken, request((2, 3, 4), (1, 2)), request((2, VOCAB + 5, 3), (1,)))
    broken.forget()
    assert broken._prefixes.store.stored == 0


def test_what_was_kept_for_a_program_goes_with_it() -> None:
    shared = engine()
    stored = []

    async def program(number: int, lm: LM) -> None:
        [sample] = await lm.generate((number % VOCAB, number // VOCAB, 3, 4), 1, Sampling(max_tokens=4))
        await lm.at(1).generate((number % VOCAB, number // VOCAB, 3, 4, *sample.token_ids), 2, Sampling(max_tokens=4))
        stored.append(shared._prefixes.store.stored)

    list(run_programs(shared, range(100), program, seed=0, key=str, in_flight=4))
    assert max(stored[50:]) == max(stored[:50]) < 8 * 16
