"""Twins: small models with the family's proportions, whose limits a few tokens pass."""

from __future__ import annotations

import copy

import torch
import transformers as t

from data_gen.engines.local.self_check import engine_problem
from data_gen.models.agreement import LENGTHS, probes
from data_gen.models.twin import CONTEXT, ORIGINAL, VOCAB, WINDOW, twin


def test_a_large_model_gets_small_in_its_own_proportions() -> None:
    config = t.MistralConfig(num_attention_heads=32, num_key_value_heads=8, sliding_window=4096)  # 7B
    small = twin(t.MistralForCausalLM, config).config
    assert small.num_attention_heads // small.num_key_value_heads == 4
    assert (small.sliding_window, small.max_position_embeddings, small.vocab_size) == (WINDOW, CONTEXT, VOCAB)
    assert small.num_hidden_layers == 2
    assert config.sliding_window == 4096 and config.num_hidden_layers == 32  # the model's own is left alone


def test_every_kind_of_layer_is_kept_in_order() -> None:
    config = t.Gemma3TextConfig(num_hidden_layers=18)
    small = twin(t.Gemma3ForCausalLM, config).config
    assert set(small.layer_types) == set(config.layer_types) == {"sliding_attention", "full_attention"}
    assert small.layer_types == sorted(small.layer_types, key=config.layer_types.index)


def test_the_rows_pass_the_length_that_a_rotary_embedding_was_trained_for() -> None:
    rope = {
        "rope_type": "longrope",
        "rope_theta": 10000.0,
        "short_factor": [1.0] * 48,
        "long_factor": [4.0] * 48,
        "original_max_position_embeddings": 4096,
    }
    config = t.Phi3Config(max_position_embeddings=131072, original_max_position_embeddings=4096, rope_parameters=rope)
    model = twin(t.Phi3ForCausalLM, config)
    parameters = model.config.rope_parameters
    assert parameters["original_max_position_embeddings"] == ORIGINAL
    assert len(parameters["long_factor"]) == model.config.hidden_size // model.config.num_attention_heads // 2
    assert [len(row) for row in probes(model)] == [*LENGTHS]
    assert sum(n > ORIGINAL > WINDOW for n in LENGTHS) == 2


def test_a_small_model_keeps_its_widths() -> None:
    config = t.LlamaConfig(
        hidden_size=48, intermediate_size=80, num_attention_heads=3, num_key_value_heads=3, vocab_size=30
    )
    small = twin(t.LlamaForCausalLM, config).config
    assert (small.hidden_size, small.intermediate_size, small.num_attention_heads, small.vocab_size) == (48, 80, 3, 30)


def test_a_check_leaves_random_numbers_and_the_config_alone() -> None:
    config = t.LlamaConfig(hidden_size=32, intermediate_size=40, num_attention_heads=2, vocab_size=31)
    before, state = copy.deepcopy(config.to_dict()), torch.get_rng_state()
    assert engine_problem(t.LlamaForCausalLM, config) is None
    assert torch.equal(torch.get_rng_state(), state)
    assert config.to_dict() == before
    assert torch.get_default_dtype() == torch.float32
