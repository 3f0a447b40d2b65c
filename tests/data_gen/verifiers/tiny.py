"""Tiny random verifiers over the chain task's words."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from transformers import AutoModel, AutoModelForCausalLM, LlamaConfig, Qwen2Config, Qwen3Config

from data_gen.format import Format
from data_gen.tasks.chain import Chain
from data_gen.verifiers.checkpoint import Verifier, feature_width
from data_gen.verifiers.heads import HeadConfig
from data_gen.verifiers.value_head import ValueHead
from reasoning_train.models.words import word_tokenizer

CONFIGS = {"llama": LlamaConfig, "qwen2": Qwen2Config, "qwen3": Qwen3Config}
CONTEXT = 128


@cache
def words() -> Any:
    return word_tokenizer(Chain(uses="chain").vocabulary())


def config(family: str = "llama", tokenizer: Any = None, **more: Any) -> Any:
    """2 layers x 32 with weights wide enough that values differ."""
    tokenizer = tokenizer or words()
    shape = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 80,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": CONTEXT,
        "initializer_range": 0.3,
        "bos_token_id": None,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "head_dim": 8,
    }
    return CONFIGS[family](**{**shape, **more})


def verifier(
    head: HeadConfig | None = None,
    *,
    family: str = "llama",
    seed: int = 0,
    tokenizer: Any = None,
    fmt: Format | None = None,
    shape: dict[str, Any] | None = None,
) -> Verifier:
    """Random weights of backbone and head."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    head, tokenizer = head or HeadConfig(), tokenizer or words()
    auto = AutoModelForCausalLM if head.kind == "from_vocab" else AutoModel
    backbone = auto.from_config(config(family, tokenizer, **(shape or {}))).eval()
    value_head = ValueHead(head, feature_width(backbone, head.kind), init_std=0.3).eval()
    return Verifier(backbone, value_head, tokenizer, fmt or Format())
