"""Tiny random checkpoints that look like those of other programs, tensor names and config keys included."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification, Qwen2Model

from tests.data_gen.test_format import CHAT, bpe
from tests.data_gen.verifiers.tiny import config, words


def separating_tokenizer() -> Any:
    """A byte-level BPE with `<extra_0>` and a chat template, as Qwen2.5-Math-PRM's."""
    tokenizer = copy.deepcopy(bpe())
    tokenizer.add_special_tokens({"additional_special_tokens": ["<extra_0>"]})
    tokenizer.chat_template = CHAT
    return tokenizer


def qwen_prm(folder: Path, *, shards: int = 1, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Qwen2ForProcessRewardModel as it lies on the Hub: `model.*`, `score.0.*` and `score.2.*`, remote code named in
    config.json."""
    torch.manual_seed(3)
    tokenizer = separating_tokenizer()
    backbone = Qwen2Model(config("qwen2", tokenizer, pad_token_id=0, max_position_embeddings=512))
    tensors = {f"model.{name}": tensor.to(dtype) for name, tensor in backbone.state_dict().items()}
    shapes = {"score.0.weight": (32, 32), "score.0.bias": (32,), "score.2.weight": (2, 32), "score.2.bias": (2,)}
    tensors |= {name: (torch.randn(shape) * 0.3).to(dtype) for name, shape in shapes.items()}
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder)
    written = backbone.config.to_dict()
    remote = {
        "AutoConfig": "configuration_qwen2_rm.Qwen2RMConfig",
        "AutoModel": "modeling_qwen2_rm.Qwen2ForProcessRewardModel",
    }
    written |= {"architectures": ["Qwen2ForProcessRewardModel"], "auto_map": remote}
    (folder / "config.json").write_text(json.dumps(written))
    for name in ("configuration_qwen2_rm", "modeling_qwen2_rm"):
        (folder / f"{name}.py").write_text("raise SystemExit('remote code was run')\n")
    _save(tensors, folder, shards)
    return tensors


def _save(tensors: dict[str, Tensor], folder: Path, shards: int) -> None:
    if shards == 1:
        return save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    names, where = sorted(tensors), {}
    for k in range(shards):
        part = {name: tensors[name] for name in names[k::shards]}
        file = f"model-{k + 1:05d}-of-{shards:05d}.safetensors"
        save_file(part, folder / file, metadata={"format": "pt"})
        where |= dict.fromkeys(part, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))


def classifier(
    folder: Path, *, whole: bool = False, labels: tuple[str, ...] = ("wrong", "right"), family: str = "llama"
) -> Any:
    """A decoder for token (or, `whole`, sequence) classification over the chain task's words, saved by transformers."""
    torch.manual_seed(4)
    auto = AutoModelForSequenceClassification if whole else AutoModelForTokenClassification
    names = {"id2label": dict(enumerate(labels)), "label2id": {name: i for i, name in enumerate(labels)}}
    model = auto.from_config(config(family, num_labels=len(labels), classifier_dropout=0.0, **names)).eval()
    model.save_pretrained(folder)
    words().save_pretrained(folder)
    return model


def trl_value_head(folder: Path) -> Any:
    """A causal LM with `v_head.summary`, as TRL's value-head models and Skywork-o1-Open-PRM keep it."""
    from transformers import AutoModelForCausalLM

    torch.manual_seed(5)
    model = AutoModelForCausalLM.from_config(config()).eval()
    model.save_pretrained(folder)
    words().save_pretrained(folder)
    head = {"v_head.summary.weight": torch.randn(1, 32), "v_head.summary.bias": torch.randn(1)}
    save_file(
        {**load_file(folder / "model.safetensors"), **head}, folder / "model.safetensors", metadata={"format": "pt"}
    )
    return model, head
