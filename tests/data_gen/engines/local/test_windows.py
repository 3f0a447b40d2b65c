"""Sliding windows, local layers and their neighbours: what the engine says past a window is what transformers says."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import torch
import transformers as t
from hypothesis import given
from hypothesis import strategies as st

from data_gen.engines.base import Request, Sampling
from data_gen.engines.local import self_check
from data_gen.engines.local.engine import TransformersEngine
from data_gen.engines.local.prefixes import additive_mask, layer_masks
from data_gen.errors import UserError
from data_gen.models import windows
from data_gen.models.local_layers import near
from data_gen.models.settle import settle
from tests.data_gen.models.shapes import shape

WINDOW = 8
SHAPE = shape(bos_token_id=None, eos_token_id=1, pad_token_id=None)
CONFIGS: dict[str, Any] = {
    "mistral": t.MistralConfig(**SHAPE, sliding_window=WINDOW),
    "mixtral": t.MixtralConfig(**SHAPE, sliding_window=WINDOW, num_local_experts=4),
    "phi3": t.Phi3Config(**SHAPE, sliding_window=WINDOW),
    "starcoder2": t.Starcoder2Config(**SHAPE, sliding_window=WINDOW),
    "gemma2": t.Gemma2Config(**SHAPE, head_dim=8, sliding_window=WINDOW, query_pre_attn_scalar=8),
    "gpt_neo": t.GPTNeoConfig(
        vocab_size=40,
        hidden_size=32,
        num_layers=2,
        num_heads=4,
        attention_types=[[["global", "local"], 1]],
        window_size=WINDOW,
        max_position_embeddings=128,
        initializer_range=0.3,
    ),
    "qwen2": t.Qwen2Config(**SHAPE, use_sliding_window=True, sliding_window=WINDOW, max_window_layers=1),
}


def model(config: Any) -> Any:
    torch.manual_seed(0)
    return t.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()


def plain(module: Any, ids: tuple[int, ...]) -> torch.Tensor:
    with torch.no_grad():
        logprobs = module(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
    return logprobs[:-1].gather(-1, torch.tensor(ids[1:])[:, None])[:, 0]


@pytest.mark.parametrize("family", CONFIGS)
def test_samples_and_scores_past_the_window_have_the_log_probs_of_a_plain_forward(family: str) -> None:
    module = model(CONFIGS[family])
    engine = TransformersEngine(module, None, end_ids=(), deterministic=True)
    prompts = [tuple(range(3, 33)), tuple(range(5, 9))]

    async def ask() -> Any:
        asked = [Request(prefix=p, sampling=Sampling(max_tokens=20), seeds=(1, 2)) for p in prompts]
        drawn = await asyncio.gather(*map(engine.generate, asked))
        scored = [await engine.score(p, [s.token_ids for s in row]) for p, row in zip(prompts, drawn, strict=True)]
        return drawn, scored

    drawn, scored = asyncio.run(ask())
    for prompt, samples, scores in zip(prompts, drawn, scored, strict=True):
        for sample, score in zip(samples, scores, strict=True):
            want = plain(module, prompt + sample.token_ids)[len(prompt) - 1 :]
            torch.testing.assert_close(torch.tensor(sample.logprobs), want, atol=1e-4, rtol=0)
            torch.testing.assert_close(torch.tensor(score), want, atol=1e-4, rtol=0)


def test_local_layers_of_gpt_neo_see_in_a_plain_forward_what_they_saw_before_they_were_settled() -> None:
    ids = torch.arange(3, 33)[None]
    stock, settled = model(CONFIGS["gpt_neo"]), settle(settle(model(CONFIGS["gpt_neo"])))
    with torch.no_grad():
        want = stock(input_ids=ids).logits
        torch.testing.assert_close(settled(input_ids=ids).logits, want, atol=1e-4, rtol=0)
        full = model(CONFIGS["gpt_neo"])
        for layer in full.transformer.h:
            layer.attn.attention.bias = torch.ones(1, 1, 128, 128, dtype=torch.bool).tril()
        assert (full(input_ids=ids).logits - want).abs().max() > 0.1  # the window matters


@given(st.lists(st.booleans(), min_size=1, max_size=20), st.integers(1, 8))
def test_near_keeps_the_last_visible_columns(visible: list[bool], window: int) -> None:
    kept = near(torch.tensor([visible]), window)[0].tolist()
    places = [i for i, seen in enumerate(visible) if seen]
    assert [i for i, seen in enumerate(kept) if seen] == places[-window:]


def test_a_window_is_the_tokens_own_position_and_those_just_before_it() -> None:
    far = torch.arange(5)[None, :, None] - torch.arange(5)[None, None, :]
    full, near = (
        layer_masks(model(CONFIGS["gemma2"]), far)[kind][0, 0] == 0 for kind in (windows.FULL, windows.SLIDING)
    )
    assert full.equal(torch.ones(5, 5).tril().bool())
    assert near.equal(full)  # the window is wider than the row
    one = layer_masks(model(t.MistralConfig(**SHAPE, sliding_window=2)), far)[0, 0] == 0
    assert one.tolist() == [[q - 2 < k <= q for k in range(5)] for q in range(5)]


def test_layers_that_no_mask_describes_are_refused_by_name() -> None:
    config = t.Qwen2Config(**SHAPE)
    config.layer_types = ["full_attention", "linear_attention"]
    with pytest.raises(UserError, match="'qwen2' model is neither for .* layers of type linear_attention.*vllm"):
        windows.layer_windows(config)


def test_the_self_check_finds_an_engine_that_forgets_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    config = t.MistralConfig(**SHAPE, sliding_window=WINDOW + 1)  # no other test has asked about this one
    monkeypatch.setattr("data_gen.engines.local.prefixes.by_layer_type", lambda config, made: made(None))
    with pytest.raises(UserError, match=r"'mistral' models: log-probabilities differ by up to .* nats.*vllm"):
        TransformersEngine(model(config), None, end_ids=())


def test_the_self_check_finds_an_engine_that_miscounts_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    def off_by_one(far: torch.Tensor) -> torch.Tensor:
        return far >= 1

    monkeypatch.setattr(
        "data_gen.engines.local.prefixes.layer_masks",
        lambda model, far, seen=None: additive_mask(off_by_one(far) | (far == far.amax(-1, keepdim=True)), model.dtype),
    )
    config = t.LlamaConfig(**SHAPE, rope_parameters={"rope_type": "default", "rope_theta": 777.0})
    assert "differ" in (self_check.engine_problem(t.LlamaForCausalLM, config) or "")


@pytest.mark.parametrize(
    ("config", "kind", "why"),
    [
        (
            t.BartConfig(vocab_size=40, d_model=32, decoder_layers=2, decoder_attention_heads=4),
            "BartForCausalLM",
            "differ",
        ),
        (t.MambaConfig(vocab_size=40, hidden_size=32, num_hidden_layers=2), "MambaForCausalLM", "keep a state"),
        (
            t.BertConfig(vocab_size=40, hidden_size=32, num_hidden_layers=2, num_attention_heads=4),
            "BertLMHeadModel",
            "differ",
        ),
    ],
)
def test_families_that_the_engine_cannot_run_are_refused_with_what_can(config: Any, kind: str, why: str) -> None:
    module = getattr(t, kind)(config)
    with pytest.raises(UserError, match=f"{config.model_type!r} models: .*{why}.*uses: vllm.*server"):
        TransformersEngine(module, None, end_ids=())
