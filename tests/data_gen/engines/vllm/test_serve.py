"""The openai engine over a real `vllm serve` that it starts itself, against the transformers engine and plain forwards.
Needs vLLM."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator

import pytest

from data_gen.engines.base import LM, Request
from data_gen.engines.config import OpenAIConfig, ServeConfig
from data_gen.engines.openai.engine import OpenAIEngine
from data_gen.engines.openai.opening import Speaker, open_openai
from data_gen.errors import UserError
from tests.data_gen.engines.tiny import CONTEXT, TEXTS, VOCAB, ask, request, tokenizer
from tests.data_gen.engines.vllm.tiny import SLACK, plain_logprobs, save, transformers_engine, vllm_program

pytestmark = pytest.mark.vllm


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAIEngine]:
    folder = save(tmp_path_factory.mktemp("model"))
    program = vllm_program(tmp_path_factory.mktemp("bin"))
    serve = ServeConfig(command="vllm", args=("--max-num-seqs", "64"), executable=program, start_timeout=300.0)
    speaker = Speaker(tokenizer=tokenizer(), end_ids=(), context=CONTEXT, weights=folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
        with open_openai(
            OpenAIConfig(serve=serve, concurrency=32), speaker, log=tmp_path_factory.mktemp("log") / "server.log"
        ) as running:
            yield running


def _mixed(count: int, n: int = 1, **sampling: object) -> list[Request]:
    rng = random.Random(1)
    return [
        request(
            tuple(rng.choices(range(VOCAB), k=rng.randint(1, 90))),
            tuple(range(i << 33, (i + n) << 33, 1 << 33)),
            **{"max_tokens": rng.randint(1, 50), **sampling},
        )
        for i in range(count)
    ]


def test_greedy_ids_and_log_probs_equal_the_transformers_engines(engine: OpenAIEngine) -> None:
    requests = _mixed(40, temperature=0)
    for ours, theirs in zip(ask(engine, *requests), ask(transformers_engine(), *requests), strict=True):
        assert ours[0].token_ids == theirs[0].token_ids
        assert ours[0].finish == theirs[0].finish
        assert ours[0].logprobs == pytest.approx(theirs[0].logprobs, abs=SLACK)


def test_log_probs_are_untempered_and_seeds_are_kept(engine: OpenAIEngine) -> None:
    requests = _mixed(20, n=3, temperature=0.5, top_p=0.8)
    first, again = ask(engine, *requests), ask(engine, *requests[::-1])[::-1]
    for asked, samples in zip(requests, first, strict=True):
        for sample in samples:
            assert sample.logprobs == pytest.approx(plain_logprobs(asked.prefix, sample.token_ids), abs=SLACK)
    same = [
        a.token_ids == b.token_ids for one, two in zip(first, again, strict=True) for a, b in zip(one, two, strict=True)
    ]
    assert sum(same) >= 0.9 * len(same)
    assert sum(len({sample.token_ids for sample in samples}) == 3 for samples in first) > 10
    assert engine.seeded


@pytest.mark.parametrize("stop", [("\n\n",), ("D!", "x\n"), ("ab", "ba", "aa")])
def test_stop_strings_end_with_the_token_that_completes_them(engine: OpenAIEngine, stop: tuple[str, ...]) -> None:
    requests = _mixed(40, temperature=0, max_tokens=40)
    whole = ask(engine, *requests)
    cut = ask(engine, *(request(r.prefix, r.seeds, max_tokens=40, temperature=0, stop=stop) for r in requests))
    for [full], [short] in zip(whole, cut, strict=True):
        texts = [TEXTS[i] for i in full.token_ids]
        ends = [i for i in range(len(texts)) if any(s in "".join(texts[: i + 1]) for s in stop)]
        assert short.token_ids == full.token_ids[: ends[0] + 1 if ends else None]
        assert short.finish == ("stop" if ends else "length")
        assert len(short.logprobs) == len(short.token_ids)


def test_scores_equal_plain_forwards(engine: OpenAIEngine) -> None:
    rng = random.Random(3)
    prefix = tuple(rng.choices(range(VOCAB), k=30))
    continuations = [tuple(rng.choices(range(VOCAB), k=length)) for length in (1, 7, 0, 20)]

    async def score() -> list[list[float]]:
        try:
            return await LM(engine, 0, ("p",)).score(prefix, continuations)
        finally:
            await engine.aclose()

    before = engine.usage.scored_tokens
    for scores, continuation in zip(asyncio.run(score()), continuations, strict=True):
        assert scores == pytest.approx(plain_logprobs(prefix, continuation), abs=SLACK)
    assert engine.usage.scored_tokens - before == 28


def test_tokens_are_accounted_for_cached_ones_included(engine: OpenAIEngine) -> None:
    spent = engine.usage
    before = (spent.prompt_tokens, spent.generated_tokens, spent.cached_tokens)
    prefix = tuple(random.Random(4).choices(range(VOCAB), k=100))
    for n in (1, 2):
        ask(engine, request(prefix, tuple(range(n)), max_tokens=6))
    after = (spent.prompt_tokens, spent.generated_tokens, spent.cached_tokens)
    assert [b - a for a, b in zip(before, after, strict=True)] == [200, 18, 96]


def test_what_the_server_refuses_is_told_in_its_words(engine: OpenAIEngine) -> None:
    with pytest.raises(UserError, match=r"(?s)/v1/completions answered with status 400: .*temperature"):
        ask(engine, request((3, 4), temperature=-1.0))
    with pytest.raises(UserError, match=f"a prefix of {CONTEXT} tokens"):
        ask(engine, request((3,) * CONTEXT))
