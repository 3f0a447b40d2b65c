"""A joint model's value at the last token of a sample, against the head on a plain forward."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data_gen.engines.base import Request, Sample, Sampling
from data_gen.engines.local.engine import TransformersEngine
from tests.data_gen.engines.tiny import CONTEXT, VOCAB, ask, engine, model, request


@cache
def _head(hidden: int = 32) -> Any:
    torch.manual_seed(1)
    layers = torch.nn.Sequential(torch.nn.Linear(hidden, 24), torch.nn.ReLU(), torch.nn.Linear(24, 1))
    return lambda states: layers(states)[..., 0].tanh()


def _plain_value(model: Any, head: Any, ids: tuple[int, ...]) -> float:
    with torch.no_grad():
        states = model.model(torch.tensor([ids])).last_hidden_state
        return head(states[:, -1]).item()


@cache
def _requests() -> tuple[Request, ...]:
    rng = random.Random(2)
    return tuple(
        Request(
            prefix=tuple(rng.choices(range(VOCAB), k=rng.randint(1, 60))),
            seeds=(i, i + 100)[: rng.randint(1, 2)],
            sampling=Sampling(
                max_tokens=rng.randint(1, 12), temperature=rng.choice([0.0, 1.0]), stop=rng.choice([(), ("\n",)])
            ),
            prompt_length=1,
        )
        for i in range(24)
    )


@cache
def _alone() -> tuple[list[Sample], ...]:
    return tuple(ask(engine(head=_head(), deterministic=True, end_ids=(1,)), one)[0] for one in _requests())


def test_values_are_the_heads_on_the_last_token() -> None:
    for asked, samples in zip(_requests(), ask(engine(head=_head(), end_ids=(1,), slots=7), *_requests()), strict=True):
        for sample in samples:
            assert sample.value == pytest.approx(
                _plain_value(model(), _head(), (*asked.prefix, *sample.token_ids)), abs=1e-5
            )


def test_a_head_changes_no_sample_and_charges_no_token() -> None:
    without, headed = engine(end_ids=(1,)), engine(end_ids=(1,), head=_head())
    plain, valued = ask(without, *_requests()), ask(headed, *_requests())
    for a, b in zip(plain, valued, strict=True):
        assert [(s.token_ids, s.finish, s.value) for s in a] == [(s.token_ids, s.finish, None) for s in b]
    assert without.usage.generated_tokens == headed.usage.generated_tokens


@settings(max_examples=8, deadline=None)
@given(
    st.lists(st.integers(0, 23), min_size=1, unique=True),
    st.sampled_from([8, 24, 256]),
    st.sampled_from([None, CONTEXT]),
)
def test_values_are_bitwise_independent_of_company(chosen: list[int], slots: int, prefix_columns: int | None) -> None:
    headed = engine(head=_head(), deterministic=True, end_ids=(1,), slots=slots, prefix_columns=prefix_columns)
    assert ask(headed, *(_requests()[i] for i in chosen)) == [_alone()[i] for i in chosen]


def test_the_step_that_gives_the_value_completes_what_is_stored() -> None:
    headed = engine(head=_head())
    prefix = tuple(range(2, 16)) * 3
    [[sample]] = ask(headed, request(prefix, max_tokens=8))
    ask(headed, request((*prefix, *sample.token_ids, 3), max_tokens=1))
    assert headed.usage.cached_tokens == len(prefix) + 8


def test_a_sample_that_fills_the_context_has_a_value() -> None:
    prefix = (2,) * (CONTEXT - 3)
    [[sample]] = ask(engine(head=_head()), request(prefix, max_tokens=50))
    assert len(sample.token_ids) == 3
    assert sample.value == pytest.approx(_plain_value(model(), _head(), (*prefix, *sample.token_ids)), abs=1e-5)


@pytest.mark.parametrize("family", ["Qwen2", "Qwen3", "Llama"])
def test_other_families_have_values(family: str) -> None:
    import transformers

    torch.manual_seed(3)
    shape = {
        "vocab_size": 23,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    }
    config = getattr(transformers, f"{family}Config")(
        **shape, num_key_value_heads=1, max_position_embeddings=128, initializer_range=0.3
    )
    other = getattr(transformers, f"{family}ForCausalLM")(config).eval()
    [[sample]] = ask(TransformersEngine(other, None, end_ids=(), head=_head()), request((5, 7, 11)))
    assert sample.value == pytest.approx(_plain_value(other, _head(), (5, 7, 11, *sample.token_ids)), abs=1e-5)
