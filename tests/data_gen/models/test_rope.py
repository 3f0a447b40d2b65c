"""Rotary embeddings that follow the longest row are settled once: a short row is computed alike alone and beside it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Phi3Config, Phi3ForCausalLM

from data_gen.checkpoints import load_causal
from data_gen.engines.base import Request, Sampling
from data_gen.engines.local.engine import TransformersEngine
from data_gen.models.rope import settle_rope

SHAPE: dict[str, Any] = {
    "vocab_size": 60,
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.3,
    "pad_token_id": None,
    "bos_token_id": None,
    "eos_token_id": 1,
}
SHORT, LONG = torch.arange(3, 23)[None], torch.arange(90)[None] % 57 + 3


def longrope(context: int = 256) -> Any:
    """Trained for 64 tokens, stretched to `context`."""
    rope = {
        "rope_type": "longrope",
        "rope_theta": 10000.0,
        "short_factor": [1.0 + 0.1 * i for i in range(8)],
        "long_factor": [4.0] * 8,
        "original_max_position_embeddings": 64,
        "factor": 4.0,
    }
    torch.manual_seed(0)
    config = Phi3Config(
        **SHAPE,
        max_position_embeddings=context,
        original_max_position_embeddings=64,
        partial_rotary_factor=1.0,
        rope_parameters=rope,
    )
    return Phi3ForCausalLM(config).eval()


def dynamic() -> Any:
    torch.manual_seed(0)
    rope = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0}
    return LlamaForCausalLM(LlamaConfig(**SHAPE, max_position_embeddings=90, rope_parameters=rope)).eval()


def logits(model: Any, ids: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=ids, use_cache=False).logits


def test_a_context_past_the_original_length_takes_the_long_factors_for_all_rows() -> None:
    stock, settled = longrope(), settle_rope(longrope())
    torch.testing.assert_close(logits(settled, LONG), logits(stock, LONG))
    both = torch.cat([torch.nn.functional.pad(SHORT, (0, 70)), LONG])
    torch.testing.assert_close(logits(settled, both)[0, :20], logits(settled, SHORT)[0], atol=1e-4, rtol=0)
    assert (logits(stock, both)[0, :20] - logits(stock, SHORT)[0]).abs().max() > 0.1  # what this is about


def test_a_context_within_the_original_length_keeps_the_short_factors() -> None:
    torch.testing.assert_close(logits(settle_rope(longrope(64)), SHORT), logits(longrope(64), SHORT))


def test_settling_again_changes_nothing() -> None:
    once = logits(settle_rope(longrope()), SHORT)
    assert torch.equal(logits(settle_rope(settle_rope(longrope())), SHORT), once)


def test_dynamic_scaling_stays_at_the_context_whatever_ran_before() -> None:
    model = settle_rope(dynamic())
    before = logits(model, SHORT)
    torch.testing.assert_close(before, logits(dynamic(), SHORT))
    logits(model, torch.cat([LONG, LONG], dim=1))  # past the context, as padding is
    assert torch.equal(logits(model, SHORT), before)


def test_a_saved_model_keeps_its_factors_for_every_tool(tmp_path: Path) -> None:
    longrope().save_pretrained(tmp_path / "stock")
    loaded = load_causal(tmp_path / "stock").eval()
    loaded.save_pretrained(tmp_path / "ours")
    again = Phi3ForCausalLM.from_pretrained(tmp_path / "ours").eval()
    torch.testing.assert_close(logits(again, SHORT), logits(loaded, SHORT))


@pytest.mark.parametrize("make", [longrope, dynamic])
def test_a_short_row_gives_the_same_ids_alone_and_beside_a_long_one(make: Any) -> None:
    short, long = tuple(SHORT[0].tolist()), tuple(LONG[0, :60].tolist())

    def drawn(*prefixes: tuple[int, ...]) -> tuple[int, ...]:
        engine = TransformersEngine(make(), None, end_ids=(), deterministic=True)
        asked = [Request(prefix=p, sampling=Sampling(max_tokens=25), seeds=(1,)) for p in prefixes]

        async def ask() -> Any:
            return await asyncio.gather(*map(engine.generate, asked))

        return asyncio.run(ask())[0][0].token_ids

    assert drawn(short) == drawn(short, long)
