"""Scores of the vLLM engine against plain forwards and the transformers engine; what is asked of vLLM for them. Needs
vLLM."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence

import pytest

from data_gen.engines.config import VllmConfig
from data_gen.engines.vllm.engine import VllmEngine
from data_gen.errors import UserError
from tests.data_gen.engines.tiny import CONTEXT, VOCAB, ask, request
from tests.data_gen.engines.vllm.tiny import SLACK, plain_logprobs, save, transformers_engine

pytestmark = pytest.mark.vllm


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmEngine]:
    with VllmEngine(save(tmp_path_factory.mktemp("model")), end_ids=(), config=VllmConfig(kv_cache_gib=0.1)) as running:
        yield running


def _ids(rng: random.Random, length: int) -> tuple[int, ...]:
    return tuple(rng.choices(range(VOCAB), k=length))


def _check(engine: VllmEngine, prefix: Sequence[int], continuations: Sequence[Sequence[int]]) -> None:
    scores = asyncio.run(engine.score(prefix, continuations))
    assert len(scores) == len(continuations)
    for continuation, row in zip(continuations, scores, strict=True):
        assert row == pytest.approx(plain_logprobs(prefix, continuation), abs=SLACK)


@pytest.mark.parametrize("length", [1, 31, 32, 33, 64, 120])
def test_scores_equal_a_plain_forward_around_block_borders(engine: VllmEngine, length: int) -> None:
    rng = random.Random(length)
    prefix = _ids(rng, length)
    continuations = [_ids(rng, size) for size in (1, 1, 2, 2, 3, 15, 31, 32, 33, 40, 65, 0)]
    # one twice, one that shares all but its end
    _check(engine, prefix, [*continuations, continuations[3], (*continuations[4][:-1], 9)])


def test_what_was_sampled_before_is_scored_although_it_is_cached(engine: VllmEngine) -> None:
    prefix = _ids(random.Random(50), 40)
    [samples] = ask(engine, request(prefix, (1, 2, 3), max_tokens=100))
    _check(engine, prefix, [sample.token_ids for sample in samples])
    for sample in samples:
        [scores] = asyncio.run(engine.score(prefix, [sample.token_ids]))
        assert scores == pytest.approx(sample.logprobs, abs=SLACK)


def test_scores_equal_the_transformers_engines_with_many_prefixes_at_once(engine: VllmEngine) -> None:
    rng = random.Random(3)
    asked = [(_ids(rng, rng.randint(1, 80)), [_ids(rng, rng.randint(1, 30)) for _ in range(3)]) for _ in range(30)]

    async def score(scorer: VllmEngine) -> list[list[list[float]]]:
        return list(await asyncio.gather(*(scorer.score(prefix, continuations) for prefix, continuations in asked)))

    for ours, theirs in zip(asyncio.run(score(engine)), asyncio.run(score(transformers_engine())), strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert a == pytest.approx(b, abs=SLACK)


def test_a_continuation_may_fill_the_context_and_no_more(engine: VllmEngine) -> None:
    rng = random.Random(4)
    _check(engine, _ids(rng, 100), [_ids(rng, CONTEXT - 100)])
    _check(engine, _ids(rng, CONTEXT - 1), [(3,), (4,)])
    with pytest.raises(UserError, match=f"a prefix of 100 and a continuation of 93 tokens.*{CONTEXT}"):
        asyncio.run(engine.score((2,) * 100, [(3,), (3,) * 93]))
    with pytest.raises(UserError, match="a prefix of 0"):
        asyncio.run(engine.score((), [(3,)]))


def test_single_tokens_are_one_row_and_usage_counts_what_was_asked(engine: VllmEngine) -> None:
    mine = engine.with_end_ids(())
    rows = []
    original = mine._core.ask

    async def counting(prompts, usage):  # type: ignore[no-untyped-def]
        rows.append(len(prompts))
        return await original(prompts, usage)

    mine._core.ask = counting  # type: ignore[method-assign]
    try:
        prefix = _ids(random.Random(5), 70)
        _check(mine, prefix, [(token,) for token in range(VOCAB)])
        assert sum(rows) == 1
        _check(mine, prefix, [(3, token) for token in range(VOCAB)])
        assert sum(rows) == 3  # the bare prefix and one more
    finally:
        mine._core.ask = original  # type: ignore[method-assign]
    usage = mine.usage
    assert (usage.requests, usage.prompt_tokens, usage.scored_tokens, usage.generated_tokens) == (2, 140, 3 * VOCAB, 0)
    assert usage.cached_tokens == 64
    assert asyncio.run(mine.score(prefix, [(), ()])) == [[], []]
