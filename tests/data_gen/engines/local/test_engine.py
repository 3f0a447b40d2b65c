"""The engine against `generate` and plain forwards, its limits, its errors."""

from __future__ import annotations

import asyncio

import pytest
import torch

from data_gen.engines.base import Request, Sample
from data_gen.errors import UserError
from tests.data_gen.engines.tiny import CONTEXT, VOCAB, ask, engine, mixed, model, request


def _plain_logprobs(asked: Request, sample: Sample) -> list[float]:
    ids = torch.tensor([[*asked.prefix, *sample.token_ids]])
    with torch.no_grad():
        logprobs = model()(ids).logits[0].log_softmax(-1)
    start = len(asked.prefix) - 1
    return [logprobs[start + i, token].item() for i, token in enumerate(sample.token_ids)]


@pytest.mark.parametrize("slots", [1, 5, 64])
def test_greedy_ids_equal_generate_with_more_requests_than_slots(slots: int) -> None:
    requests = mixed(40, temperature=0)
    for asked, [sample] in zip(requests, ask(engine(slots=slots), *requests), strict=True):
        ids = torch.tensor([asked.prefix])
        wanted = model().generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=asked.sampling.max_tokens,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
        )
        assert sample.token_ids == tuple(wanted[0, len(asked.prefix) :].tolist())
        assert sample.finish == "length"


def test_logprobs_are_those_of_the_untempered_untruncated_distribution() -> None:
    requests = mixed(30, temperature=0.5, top_p=0.8)
    for asked, [sample] in zip(requests, ask(engine(slots=7), *requests), strict=True):
        assert sample.logprobs == pytest.approx(_plain_logprobs(asked, sample), abs=1e-5)


def test_end_ids_stop_where_pad_equals_eos() -> None:
    requests = mixed(30)
    both = [samples[0] for samples in ask(engine(end_ids=(1, 6)), *requests)]
    whole = [samples[0] for samples in ask(engine(), *requests)]
    assert {s.finish for s in both} == {"stop", "length"}
    for cut, full in zip(both, whole, strict=True):
        ends = [i for i, token in enumerate(full.token_ids) if token in (1, 6)]
        assert cut.token_ids == full.token_ids[: ends[0] + 1 if ends else None]
        assert cut.finish == ("stop" if ends else "length")


def test_the_prefix_of_many_samples_is_computed_once_even_across_refills() -> None:
    few = engine(slots=3)
    [samples] = ask(few, request((2, 3, 4, 5), tuple(range(20))))
    assert few.usage.prompt_tokens == 4 and few.usage.requests == 1 and few.usage.samples == 20
    assert few.usage.generated_tokens == sum(len(s.token_ids) for s in samples)
    alone = [ask(engine(), request((2, 3, 4, 5), (seed,)))[0][0].token_ids for seed in range(20)]
    assert [s.token_ids for s in samples] == alone
    assert len(set(alone)) > 15


def test_context_limit_cuts_with_finish_length() -> None:
    [[sample]] = ask(engine(), request((2,) * (CONTEXT - 3), max_tokens=50))
    assert len(sample.token_ids) == 3 and sample.finish == "length"


def test_a_prefix_that_fills_the_context_is_refused_with_both_lengths() -> None:
    with pytest.raises(UserError, match=rf"a prefix of {CONTEXT} tokens; expected 1 to {CONTEXT - 1}"):
        ask(engine(), request((2,) * CONTEXT))
    with pytest.raises(UserError, match="a prefix of 0 tokens"):
        ask(engine(), request(()))
    with pytest.raises(UserError, match="max_tokens is 0"):
        ask(engine(), request((2,), max_tokens=0))


def test_no_seeds_ask_for_nothing() -> None:
    idle = engine()
    assert ask(idle, request((2,), ())) == [[]]
    assert idle.usage.requests == 0


def test_little_memory_narrows_the_batch_but_not_the_results() -> None:
    requests = mixed(30)
    narrow = engine()
    narrow._decoder.kv_columns = 200  # two short rows, or one long one
    assert [s[0].token_ids for s in ask(narrow, *requests)] == [s[0].token_ids for s in ask(engine(), *requests)]
    assert narrow._decoder.cache.slots <= 32


@pytest.mark.parametrize("family", ["Qwen2", "Qwen3", "Llama"])
def test_other_families_decode_as_generate_does(family: str) -> None:
    import transformers

    from data_gen.engines.local.engine import TransformersEngine

    torch.manual_seed(3)
    shape = {
        "vocab_size": 23,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 1,
    }
    config = getattr(transformers, f"{family}Config")(
        **shape, max_position_embeddings=128, initializer_range=0.3, tie_word_embeddings=True
    )
    other = getattr(transformers, f"{family}ForCausalLM")(config).eval()
    asked = request((5, 7, 11, 13, 2), temperature=0)
    ids = torch.tensor([asked.prefix])
    wanted = other.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=24, do_sample=False, eos_token_id=None, pad_token_id=0
    )
    [[sample]] = ask(TransformersEngine(other, None, end_ids=()), asked)
    assert sample.token_ids == tuple(wanted[0, 5:].tolist())


def test_scores_equal_a_plain_forward_and_the_samples_own_logprobs() -> None:
    requests = mixed(25)
    scorer = engine()
    samples = [s for [s] in ask(scorer, *requests)]

    async def score_all() -> list[list[float]]:
        both = zip(requests, samples, strict=True)
        return [scores for [scores] in await asyncio.gather(*(scorer.score(r.prefix, [s.token_ids]) for r, s in both))]

    for asked, sample, scores in zip(requests, samples, asyncio.run(score_all()), strict=True):
        assert scores == pytest.approx(_plain_logprobs(asked, sample), abs=1e-5)
        assert scores == pytest.approx(sample.logprobs, abs=1e-5)
    assert scorer.usage.scored_tokens == sum(len(s.token_ids) for s in samples)


def test_a_score_beyond_the_context_names_the_lengths() -> None:
    with pytest.raises(UserError, match=f"a prefix of 100 and a continuation of 93 tokens.*{CONTEXT}"):
        asyncio.run(engine().score((2,) * 100, [(3,) * 93]))


def test_a_failing_step_reaches_those_who_wait_and_the_engine_goes_on() -> None:
    broken = engine()
    fine = request((2, 3), (1,))
    [[before]] = ask(broken, fine)
    with pytest.raises(IndexError):
        ask(broken, fine, request((2, VOCAB + 5, 3), (1,)))  # an id that the embedding does not have
    assert ask(broken, fine) == [[before]]
