"""What of a generation config can be saved, and what is left out of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from data_gen.checkpoints import load_causal
from data_gen.models.generation import mended

TINY = {"vocab_size": 20, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}


@pytest.mark.parametrize(
    ("given", "dropped"),
    [
        ({"eos_token_id": 2}, []),
        ({"do_sample": True, "temperature": 0.6, "top_p": 0.9}, []),
        ({"do_sample": False, "temperature": 0.6, "top_p": 0.9}, ["temperature", "top_p"]),
        ({"top_k": 5, "min_p": 0.1, "eos_token_id": [2, 3], "pad_token_id": 0}, ["min_p", "top_k"]),
        ({"num_beams": 1, "early_stopping": True, "length_penalty": 0.6}, ["early_stopping", "length_penalty"]),
        ({"num_beams": 4, "early_stopping": True, "length_penalty": 0.6}, []),
        ({"pad_token_id": -1, "max_length": 30}, ["pad_token_id"]),
        ({"use_cache": False, "cache_implementation": "static"}, ["cache_implementation"]),
        ({"output_scores": True}, ["output_scores"]),
    ],
)
def test_only_what_contradicts_the_rest_is_left_out(given: dict[str, Any], dropped: list[str], tmp_path: Path) -> None:
    config = GenerationConfig(**given)
    kept, left_out = mended(config)
    assert sorted(left_out) == dropped
    kept.eos_token_id = [7]  # what publishing a policy does
    kept.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "generation_config.json").read_text())
    assert all(saved[name] == value for name, value in given.items() if name not in {*dropped, "eos_token_id"})
    assert not saved.keys() & {*dropped}


def test_a_model_is_ready_to_be_saved_when_it_is_loaded(tmp_path: Path) -> None:
    LlamaForCausalLM(LlamaConfig(**TINY)).save_pretrained(tmp_path / "base")
    spoilt = {"do_sample": False, "temperature": 0.6, "eos_token_id": 2}
    (tmp_path / "base" / "generation_config.json").write_text(json.dumps(spoilt))
    loaded = load_causal(tmp_path / "base")
    loaded.generation_config.eos_token_id = [2, 5]
    loaded.save_pretrained(tmp_path / "again")
    assert GenerationConfig.from_pretrained(tmp_path / "again").eos_token_id == [2, 5]
