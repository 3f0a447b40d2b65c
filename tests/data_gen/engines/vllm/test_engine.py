"""The vLLM engine against the transformers engine and plain forwards: ids, log-probs, seeds, stops, limits, cancelling.
Needs vLLM."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from data_gen.engines.base import LM, Sampling
from data_gen.engines.config import VllmConfig
from data_gen.engines.programs import run_programs
from data_gen.engines.vllm.engine import VllmEngine
from data_gen.errors import UserError
from tests.data_gen.engines.tiny import CONTEXT, TEXTS, VOCAB, ask, mixed, request
from tests.data_gen.engines.vllm.tiny import SLACK, model, plain_logprobs, save, transformers_engine

pytestmark = pytest.mark.vllm


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[VllmEngine]:
    with VllmEngine(folder, end_ids=(), config=VllmConfig(kv_cache_gib=0.1)) as running:
        yield running


def test_greedy_ids_equal_the_transformers_engines(engine: VllmEngine) -> None:
    requests = mixed(40, temperature=0)
    for ours, theirs in zip(ask(engine, *requests), ask(transformers_engine(), *requests), strict=True):
        assert ours[0].token_ids == theirs[0].token_ids
        assert ours[0].finish == theirs[0].finish
        assert ours[0].logprobs == pytest.approx(theirs[0].logprobs, abs=SLACK)


def test_logprobs_are_those_of_the_untempered_untruncated_distribution(engine: VllmEngine) -> None:
    requests = mixed(30, temperature=0.5, top_p=0.8)
    for asked, [sample] in zip(requests, ask(engine, *requests), strict=True):
        assert sample.logprobs == pytest.approx(plain_logprobs(asked.prefix, sample.token_ids), abs=SLACK)


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.6, 1.0), (1.0, 0.7)])
def test_seeds_draw_from_the_right_distribution(engine: VllmEngine, temperature: float, top_p: float) -> None:
    draws = 4000
    prefix = (2, 5, 9, 4)
    [samples] = ask(engine, request(prefix, tuple(range(draws)), max_tokens=1, temperature=temperature, top_p=top_p))
    with torch.no_grad():
        wanted = (model()(torch.tensor([prefix])).logits[0, -1] / temperature).softmax(-1)
    order = wanted.argsort(descending=True)
    outside = order[wanted[order].cumsum(0) - wanted[order] >= top_p]
    wanted[outside] = 0.0
    wanted /= wanted.sum()
    counts = Counter(s.token_ids[0] for s in samples)
    assert not set(counts) & set(outside.tolist())
    chi_square = sum((counts[i] - draws * p) ** 2 / (draws * p) for i, p in enumerate(wanted.tolist()) if p > 0.002)
    assert chi_square < 40  # 15 degrees of freedom at most: p < 0.0005


def test_ids_follow_from_seeds_whatever_runs_beside_and_however_long_the_prompts(engine: VllmEngine) -> None:
    rng = random.Random(2)
    # > 8192 tokens at once
    long = [request(tuple(rng.choices(range(VOCAB), k=rng.randint(100, 170))), (i, i + 1000)) for i in range(80)]
    alone = [ask(engine, asked)[0] for asked in long[::8]]
    together = ask(engine, *long)[::8]
    same = [
        a.token_ids == b.token_ids
        for one, two in zip(alone, together, strict=True)
        for a, b in zip(one, two, strict=True)
    ]
    assert sum(same) >= 0.9 * len(same)
    assert len({samples[0].token_ids == samples[1].token_ids for samples in together}) == 1


@pytest.mark.parametrize("stop", [("\n\n",), ("END",), ("D!", "x\n"), ("N\n", ". ."), ("ab", "ba", "aa")])
def test_stop_strings_end_with_the_token_that_completes_them(engine: VllmEngine, stop: tuple[str, ...]) -> None:
    requests = mixed(60, max_tokens=40)
    whole = ask(engine, *requests)
    cut = ask(engine, *(request(r.prefix, r.seeds, max_tokens=40, stop=stop) for r in requests))
    stopped = 0
    for [full], [short] in zip(whole, cut, strict=True):
        texts = [TEXTS[i] for i in full.token_ids]
        ends = [i for i in range(len(texts)) if any(s in "".join(texts[: i + 1]) for s in stop)]
        assert short.token_ids == full.token_ids[: ends[0] + 1 if ends else None]
        assert short.finish == ("stop" if ends else "length")
        assert len(short.logprobs) == len(short.token_ids)
        stopped += bool(ends)
    assert stopped >= 3


def test_end_ids_stop_and_the_models_own_eos_does_not(engine: VllmEngine) -> None:
    requests = mixed(40, max_tokens=40)
    whole = ask(engine, *requests)
    ending = engine.with_end_ids((6, 9))
    assert any(1 in full.token_ids[:-1] for [full] in whole)  # <eos>, which only the configuration calls an end
    for [full], [short] in zip(whole, ask(ending, *requests), strict=True):
        ends = [i for i, token in enumerate(full.token_ids) if token in (6, 9)]
        assert short.token_ids == full.token_ids[: ends[0] + 1 if ends else None]
        assert short.finish == ("stop" if ends else "length")


def test_context_limit_cuts_with_finish_length(engine: VllmEngine) -> None:
    [[sample]] = ask(engine, request((2,) * (CONTEXT - 3), max_tokens=50))
    assert len(sample.token_ids) == 3 and sample.finish == "length"


def test_what_does_not_fit_or_is_not_supported_is_refused(engine: VllmEngine) -> None:
    with pytest.raises(UserError, match=rf"a prefix of {CONTEXT} tokens; expected 1 to {CONTEXT - 1}"):
        ask(engine, request((2,) * CONTEXT))
    with pytest.raises(UserError, match="a prefix of 0 tokens"):
        ask(engine, request(()))
    with pytest.raises(UserError, match="max_tokens is 0"):
        ask(engine, request((2,), max_tokens=0))
    with pytest.raises(UserError, match=r"temperature must be in \[0, 2\]"):
        ask(engine, request((2,), temperature=3.0))
    with pytest.raises(UserError, match="out of vocabulary"):
        ask(engine, request((2, 3), (1, 2)), request((2, VOCAB + 5), (1, 2)))
    assert not engine.busy


async def _grow(item: int, lm: LM) -> list[tuple[int, ...]]:
    """A two-level tree: three children, each extended twice; a score in between."""
    prompt = (item % VOCAB, 3, 5 + item % 7)
    children = await lm.at("children").generate(prompt, 3, Sampling(max_tokens=6))
    await lm.score(prompt, [child.token_ids for child in children])
    grown = await asyncio.gather(
        *(
            lm.at("grow", i).generate((*prompt, *child.token_ids), 2, Sampling(max_tokens=6))
            for i, child in enumerate(children)
        )
    )
    return [
        (*child.token_ids, *leaf.token_ids) for child, leaves in zip(children, grown, strict=True) for leaf in leaves
    ]


def test_many_programs_at_once_give_what_each_gives_alone_in_event_loop_after_event_loop(engine: VllmEngine) -> None:
    many = dict(run_programs(engine, range(40), _grow, seed=4, key=str, in_flight=40))
    alone = dict(run_programs(engine, range(0, 40, 5), _grow, seed=4, key=str, in_flight=1))
    assert len(many) == 40
    same = [a == b for item in alone for a, b in zip(alone[item], many[item], strict=True)]
    assert sum(same) >= 0.9 * len(same)


def test_cancelled_programs_free_their_rows_and_what_they_cost_is_counted(engine: VllmEngine) -> None:
    async def program(item: int, lm: LM) -> int:
        [sample] = await lm.generate((item, 3), 1, Sampling(max_tokens=4 if item == 0 else 150))
        return len(sample.token_ids)

    before = engine.usage.generated_tokens
    programs = run_programs(engine, range(12), program, seed=0, key=str, in_flight=12)
    assert next(programs)[1] == 4
    programs.close()
    assert not engine.busy
    assert engine.usage.generated_tokens - before >= 12 * 4
    assert dict(run_programs(engine, [0], program, seed=0, key=str, in_flight=1)) == {0: 4}


def test_a_failing_step_reaches_those_who_wait_and_the_engine_goes_on(
    engine: VllmEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = mixed(8, temperature=0)
    before = ask(engine, *asked)
    runner = engine._core.llm.model_executor.driver_worker.worker.model_runner
    with monkeypatch.context() as patch:
        patch.setattr(runner, "execute_model", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            ask(engine, *asked)
    assert not engine.busy
    assert [s[0].token_ids for s in ask(engine, *asked)] == [s[0].token_ids for s in before]


def test_the_second_expansion_of_a_path_finds_it_cached(engine: VllmEngine) -> None:
    fresh = random.Random(7)
    path = tuple(fresh.choices(range(VOCAB), k=130))
    mine = engine.with_end_ids(())
    ask(mine, request(path, tuple(range(8)), max_tokens=16))
    assert mine.usage.cached_tokens == 0
    ask(mine, request(path, tuple(range(8, 16)), max_tokens=16))
    assert mine.usage.cached_tokens == 128  # four blocks of 32
    assert mine.usage.prompt_tokens == 260 and mine.usage.requests == 2 and mine.usage.samples == 16
    assert mine.usage.generated_tokens == 16 * 16
