"""Verifier checkpoints: round trips for three families, loading with plain transformers, pointers, and what is
refused."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoModelForTokenClassification

from data_gen.errors import UserError
from data_gen.format import Format, ModelFormat
from data_gen.models.elsewhere import note_place, point_to_place
from data_gen.records.scales import Scale
from data_gen.verifiers.checkpoint import Verifier, load_verifier, save_verifier
from data_gen.verifiers.head_files import save_head
from data_gen.verifiers.heads import HeadConfig
from data_gen.verifiers.value_head import ValueHead
from tests.data_gen.verifiers.tiny import CONTEXT, config, verifier, words

IDS = torch.tensor([[3, 9, 14, 8, 21, 5], [4, 7, 30, 2, 11, 1]])
LAST = HeadConfig(activation="none", scale=Scale.RANKING, bias=False, read_at="last")


@torch.no_grad()
def values(v: Verifier) -> torch.Tensor:
    output = v.backbone(input_ids=IDS)
    return v.head(output.logits if v.head.config.kind == "from_vocab" else output.last_hidden_state)


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
@pytest.mark.parametrize(
    "head",
    [HeadConfig(), LAST, HeadConfig(kind="two_layer", labels=2), HeadConfig(kind="from_vocab", scale=Scale.PROGRESS)],
    ids=str,
)
def test_a_verifier_survives_saving(family: str, head: HeadConfig, tmp_path: Path) -> None:
    made = verifier(head, family=family, fmt=Format(model=ModelFormat(plain_suffix=" ")))
    expected = values(made)
    save_verifier(made, tmp_path)
    again = load_verifier(tmp_path)
    assert torch.equal(values(again), expected) and expected.std() > 0
    assert again.head.config == head and again.format == made.format and again.context == CONTEXT
    assert again.codec.prompt_ids("Ana has 7.") == made.codec.prompt_ids("Ana has 7.")
    assert not again.backbone.training and not again.head.training
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".bin", ".pt", ".pkl")]


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
@pytest.mark.parametrize("read_at", ["step_end", "every_token", "last"])
@pytest.mark.parametrize("bias", [True, False])
def test_plain_transformers_gives_the_scores(family: str, read_at: str, bias: bool, tmp_path: Path) -> None:
    made = verifier(HeadConfig(read_at=read_at, bias=bias), family=family)
    if bias:
        torch.nn.init.constant_(made.head.score.bias, 0.7)
    save_verifier(made, tmp_path)
    with torch.no_grad():
        raw = made.head.raw(made.backbone(input_ids=IDS).last_hidden_state)
        [model, info] = AutoModelForTokenClassification.from_pretrained(tmp_path, output_loading_info=True)
        assert torch.allclose(model.eval()(input_ids=IDS).logits[..., 0], raw, atol=1e-6)
        assert not info["unexpected_keys"] and bool(info["missing_keys"]) == (read_at == "last" and not bias)
        if read_at == "last" and not bias:
            [model, info] = AutoModelForSequenceClassification.from_pretrained(tmp_path, output_loading_info=True)
            assert model.config.architectures == [type(model).__name__]
            assert torch.allclose(model.eval()(input_ids=IDS).logits[:, 0], raw[:, -1], atol=1e-6)
            assert not info["unexpected_keys"] and not info["missing_keys"]


def test_a_head_of_several_labels_is_served_with_all_of_them(tmp_path: Path) -> None:
    made = verifier(HeadConfig(labels=3, positive=2))
    save_verifier(made, tmp_path)
    with torch.no_grad():
        logits = AutoModelForTokenClassification.from_pretrained(tmp_path).eval()(input_ids=IDS).logits
    assert torch.allclose(logits.softmax(-1)[..., 2], values(made), atol=1e-6)


def test_a_pad_token_that_ends_solutions_rules_out_sequence_classification(tmp_path: Path) -> None:
    """Its pooling would skip the end token, at which the head is read."""
    import copy

    tokenizer = copy.deepcopy(words())
    tokenizer.pad_token = tokenizer.eos_token
    save_verifier(verifier(LAST, tokenizer=tokenizer), tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["architectures"] == ["LlamaForTokenClassification"]


def test_a_joint_model_is_a_policy_with_a_head_beside_it(tmp_path: Path) -> None:
    from data_gen.checkpoints import save_format

    torch.manual_seed(1)
    policy = AutoModelForCausalLM.from_config(config())
    head = ValueHead(HeadConfig(activation="tanh", scale=Scale.SIGNED), 32, init_std=0.3)
    policy.save_pretrained(tmp_path)
    words().save_pretrained(tmp_path)
    save_format(Format(), tmp_path)
    save_head(head, tmp_path)
    [again, info] = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["unexpected_keys"] and not info["missing_keys"]
    # vLLM reads every *.safetensors at the top of a folder as weights of the model.
    assert [path.name for path in tmp_path.glob("*.safetensors")] == ["model.safetensors"]
    joint = load_verifier(tmp_path)
    with torch.no_grad():
        hidden = again.eval()(input_ids=IDS, output_hidden_states=True).hidden_states[-1]
        assert torch.allclose(values(joint), head(hidden), atol=1e-6)


@pytest.mark.parametrize("head_moves", [True, False])
def test_weights_may_lie_elsewhere(head_moves: bool, tmp_path: Path) -> None:
    made = verifier()
    expected = values(made)
    save_verifier(made, tmp_path / "there")
    (tmp_path / "here").mkdir()
    for name in ("format.json", "head") if head_moves else ("format.json",):
        shutil.move(tmp_path / "there" / name, tmp_path / "here" / name)
    note_place(tmp_path, "digest", tmp_path / "there")
    point_to_place("digest", "there", tmp_path / "here")
    assert torch.equal(values(load_verifier(tmp_path / "here")), expected)


def test_an_architecture_without_such_a_class_is_kept_bare(tmp_path: Path) -> None:
    from transformers import AutoModel, OlmoConfig

    torch.manual_seed(0)
    shape = {
        "vocab_size": len(words()),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
    }
    backbone = AutoModel.from_config(OlmoConfig(**shape, pad_token_id=0, eos_token_id=1)).eval()
    made = Verifier(backbone, ValueHead(HeadConfig(), 32, init_std=0.3).eval(), words(), Format())
    save_verifier(made, tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["architectures"] == ["OlmoModel"]
    assert torch.equal(values(load_verifier(tmp_path)), values(made))


def test_torn_and_foreign_checkpoints_are_named(tmp_path: Path) -> None:
    save_verifier(verifier(), tmp_path)
    save_head(ValueHead(HeadConfig(), 48), tmp_path)
    with pytest.raises(
        UserError, match=re.escape("reads 48 numbers a token, its backbone gives 32. They come from different models")
    ):
        load_verifier(tmp_path)
    save_head(ValueHead(HeadConfig(), 32), tmp_path)
    (tmp_path / "format.json").unlink()
    with pytest.raises(UserError, match=r"The verifier in .* cannot be loaded \(FileNotFoundError"):
        load_verifier(tmp_path)
    save_verifier(verifier(), tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-40])
    with pytest.raises(UserError, match="whole. Remove the folder and run again to re-make it"):
        load_verifier(tmp_path)
    save_verifier(verifier(), tmp_path)
    tensors = load_file(weights)
    for torn in (
        {k: t for k, t in tensors.items() if "layers.0.mlp.up" not in k},
        {f"other.{k}": t for k, t in tensors.items()},
    ):
        save_file(torn, weights, metadata={"format": "pt"})
        with pytest.raises(
            UserError,
            match=r"cannot be loaded \(ValueError: \d+ tensors of the model are missing from its files; the first is '",
        ):
            load_verifier(tmp_path)
    shutil.rmtree(tmp_path / "head")
    with pytest.raises(UserError, match="holds no value head"):
        load_verifier(tmp_path)
