"""Adapters reach every linear layer, the stacked weights of experts among them, and say what they leave out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as t

from data_gen.checkpoints import load_causal
from data_gen.errors import UserError
from reasoning_train.trainers.config import Lora
from reasoning_train.trainers.lora import with_adapters

SHAPE: dict[str, Any] = {
    "vocab_size": 30,
    "hidden_size": 32,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 64,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
}
GATE = "model.layers.*.mlp.gate.weight"
GPT_OSS = ["mlp.experts.down_proj_bias", "mlp.experts.gate_up_proj_bias", "mlp.router.weight"]
FAMILIES: dict[str, tuple[Any, int, list[str]]] = {
    # config, experts' adapters a layer, what has none
    "qwen2_moe": (
        t.Qwen2MoeConfig(
            **SHAPE,
            moe_intermediate_size=16,
            shared_expert_intermediate_size=16,
            num_experts=4,
            num_experts_per_tok=2,
        ),
        2,
        [GATE],
    ),
    "qwen3_moe": (
        t.Qwen3MoeConfig(**SHAPE, head_dim=8, moe_intermediate_size=16, num_experts=4, num_experts_per_tok=2),
        2,
        [],  # peft adapts routers of some families, as it always has
    ),
    "mixtral": (t.MixtralConfig(**SHAPE, num_local_experts=4), 2, []),
    "granitemoe": (
        t.GraniteMoeConfig(**SHAPE, num_local_experts=4, num_experts_per_tok=2),
        2,
        ["model.layers.*.block_sparse_moe.router.weight"],
    ),
    "gpt_oss": (
        t.GptOssConfig(**SHAPE, head_dim=8, num_local_experts=4),
        2,
        [f"model.layers.*.{name}" for name in GPT_OSS],
    ),
    "jetmoe": (t.JetMoeConfig(**SHAPE, kv_channels=8, num_local_experts=4), 4, []),
    "llama": (t.LlamaConfig(**SHAPE), 0, []),
}
IDS = torch.arange(3, 25)[None]


def adapted(family: str) -> tuple[Any, list[str]]:
    """With adapters that change something."""
    torch.manual_seed(0)
    model = t.AutoModelForCausalLM.from_config(FAMILIES[family][0], dtype=torch.float32)
    wrapped, bare = with_adapters(model, Lora(r=2, alpha=4))
    for name, weight in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3)
    return wrapped.eval(), bare


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=IDS).logits


@pytest.mark.parametrize("family", FAMILIES)
def test_experts_have_adapters_and_what_has_none_is_named(family: str) -> None:
    _, per_layer, without = FAMILIES[family]
    wrapped, bare = adapted(family)
    at_experts = [
        module
        for _, module in wrapped.named_modules()
        if type(module).__name__ == "ParamWrapper" and module.num_experts > 1
    ]
    assert len(at_experts) == 2 * per_layer
    assert all(module.num_experts == 4 for module in at_experts)
    assert bare == without


@pytest.mark.parametrize("family", ["mixtral", "gpt_oss", "jetmoe"])
def test_every_expert_learns(family: str) -> None:
    wrapped, _ = adapted(family)
    ids = torch.arange(3, 30).repeat(4, 1).flatten()[None, :60]
    wrapped(input_ids=ids, labels=ids).loss.backward()
    gradients = {name: w.grad for name, w in wrapped.named_parameters() if "expert" in name and "lora_B" in name}
    assert gradients
    assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients.values())


@pytest.mark.parametrize("family", ["mixtral", "qwen2_moe", "gpt_oss", "jetmoe"])
def test_merged_and_kept_adapters_compute_what_was_trained(family: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    t.AutoModelForCausalLM.from_config(FAMILIES[family][0], dtype=torch.float32).save_pretrained(tmp_path / "base")
    wrapped, _ = adapted(family)
    want = logits(wrapped)
    wrapped.peft_config["default"].base_model_name_or_path = str(tmp_path / "base")
    wrapped.save_pretrained(tmp_path / "kept")
    torch.testing.assert_close(logits(load_causal(tmp_path / "kept").eval()), want, atol=1e-4, rtol=0)
    torch.testing.assert_close(logits(wrapped.merge_and_unload()), want, atol=1e-4, rtol=0)


def test_dropout_on_experts_is_refused_by_field() -> None:
    model = t.AutoModelForCausalLM.from_config(FAMILIES["mixtral"][0])
    with pytest.raises(UserError, match=r"lora\.dropout: 0\.1 .*'mixtral'.*dropout: 0"):
        with_adapters(model, Lora(dropout=0.1))
    with_adapters(t.AutoModelForCausalLM.from_config(FAMILIES["llama"][0]), Lora(dropout=0.1))
