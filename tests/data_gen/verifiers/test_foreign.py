"""Heads of other programs: their tensors are found, their values are what their own code would say, and nothing of it
is run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn.functional import linear

from data_gen.checkpoints import save_format
from data_gen.errors import UserError
from data_gen.format import Format, ModelFormat, StepCodec
from data_gen.models.elsewhere import note_place, point_to_place
from data_gen.records.scales import Scale
from data_gen.verifiers.checkpoint import Verifier, load_verifier
from data_gen.verifiers.foreign import QWEN_PRM_HEAD, QWEN_PRM_TEXT, ForeignHead, load_foreign_head
from data_gen.verifiers.forward import Forward
from data_gen.verifiers.head_files import save_head
from data_gen.verifiers.heads import HeadConfig
from data_gen.verifiers.reading import PrefixReader
from tests.data_gen.scorers.prefixes import prefix, whole
from tests.data_gen.verifiers.foreign_models import classifier, qwen_prm, separating_tokenizer, trl_value_head
from tests.data_gen.verifiers.tiny import words

POLICY = StepCodec(Format(), words())
STEPS = ("Ben: 12 + 5 = 17", "Ben: 17 - 3 = 14")
IDS = torch.tensor([[3, 9, 14, 8, 21, 5]])


def adopted(weights: Path, meaning: ForeignHead, here: Path, shape: ModelFormat | None = None) -> Verifier:
    """As the `verifier` stage keeps it."""
    here.mkdir()
    save_head(load_foreign_head(weights, meaning), here)
    save_format(Format(model=shape or ModelFormat()), here)
    note_place(here.parent, "digest", weights)
    point_to_place("digest", weights.name, here)
    return load_verifier(here)


@pytest.mark.parametrize(("shards", "dtype"), [(1, torch.float32), (3, torch.float32), (1, torch.bfloat16)])
def test_qwen_prm(shards: int, dtype: torch.dtype, tmp_path: Path) -> None:
    """P(label 1) at each `<extra_0>` of the model card's text, computed here from the tensors."""
    tensors = {name: tensor.float() for name, tensor in qwen_prm(tmp_path / "prm", shards=shards, dtype=dtype).items()}
    made = adopted(tmp_path / "prm", QWEN_PRM_HEAD, tmp_path / "here", QWEN_PRM_TEXT)
    assert made.head.config == HeadConfig(kind="two_layer", labels=2, positive=1)
    asked = whole(POLICY, *STEPS)
    reading = PrefixReader(made.codec, POLICY, "step_end").read(asked)
    system = "Please reason step by step, and put your final answer within \\boxed{}."
    card = f"<system>{system}<eos><user>Ana has 12 coins.<eos><assistant>" + "".join(
        f"{s}<extra_0>" for s in (*STEPS, "Answer: 17")
    )
    tokenizer = separating_tokenizer()
    assert list(reading.ids) == tokenizer(card)["input_ids"]
    separator = tokenizer.convert_tokens_to_ids("<extra_0>")
    assert [i for i, token in enumerate(reading.ids) if token == separator] == list(reading.at)
    with torch.no_grad():
        hidden = made.backbone(input_ids=torch.tensor([reading.ids])).last_hidden_state[0]
        assert torch.equal(made.backbone.embed_tokens.weight, tensors["model.embed_tokens.weight"])
        logits = linear(
            linear(hidden, tensors["score.0.weight"], tensors["score.0.bias"]).relu(),
            tensors["score.2.weight"],
            tensors["score.2.bias"],
        )
    expected = logits.softmax(-1)[list(reading.at), 1]
    assert torch.allclose(torch.tensor(Forward(made).values([reading])[0]), expected, atol=1e-5) and expected.std() > 0


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
@pytest.mark.parametrize("positive", [1, "right"])
def test_a_token_classifier(family: str, positive: int | str, tmp_path: Path) -> None:
    model = classifier(tmp_path / "there", family=family)
    made = adopted(tmp_path / "there", ForeignHead(positive=positive, read_at="step_end"), tmp_path / "here")
    reading = PrefixReader(made.codec, POLICY, "step_end").read(prefix(POLICY, *STEPS))
    with torch.no_grad():
        expected = model(input_ids=torch.tensor([reading.ids])).logits.softmax(-1)[0, list(reading.at), 1]
    assert torch.allclose(torch.tensor(Forward(made).values([reading])[0]), expected, atol=1e-5)


def test_a_reward_model_with_one_output(tmp_path: Path) -> None:
    model = classifier(tmp_path / "there", whole=True, labels=("score",))
    meaning = ForeignHead(activation="none", scale=Scale.RANKING, read_at="last")
    made = adopted(tmp_path / "there", meaning, tmp_path / "here")
    assert made.head.config == HeadConfig(activation="none", scale=Scale.RANKING, read_at="last", bias=False)
    reading = PrefixReader(made.codec, POLICY, "last").read(whole(POLICY, *STEPS))
    with torch.no_grad():
        expected = model(input_ids=torch.tensor([reading.ids])).logits[0, 0]
    assert Forward(made).values([reading])[0][0] == pytest.approx(expected.item(), abs=1e-5)


def test_a_value_head_of_trl(tmp_path: Path) -> None:
    model, head = trl_value_head(tmp_path / "there")
    made = adopted(tmp_path / "there", ForeignHead(read_at="every_token"), tmp_path / "here")
    with torch.no_grad():
        hidden = model(input_ids=IDS, output_hidden_states=True).hidden_states[-1]
        expected = linear(hidden, head["v_head.summary.weight"], head["v_head.summary.bias"]).sigmoid()[..., 0]
        assert torch.allclose(made.head(made.backbone(input_ids=IDS).last_hidden_state), expected, atol=1e-5)


def test_what_is_no_head_is_named(tmp_path: Path) -> None:
    from transformers import BertConfig, BertForTokenClassification

    shape = BertConfig(vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    BertForTokenClassification(shape).save_pretrained(tmp_path / "bert")
    with pytest.raises(
        UserError,
        match=r"a BertForTokenClassification, 1 safetensors files\) holds no head of a known shape.* found none",
    ):
        load_foreign_head(tmp_path / "bert", ForeignHead(read_at="last"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"is not a model folder: it has no config\.json"):
        load_foreign_head(tmp_path / "empty", ForeignHead(read_at="last"))


def test_labels_that_are_not_there_are_named(tmp_path: Path) -> None:
    classifier(tmp_path)
    with pytest.raises(UserError, match="positive is 'good', but the model's labels are wrong, right"):
        load_foreign_head(tmp_path, ForeignHead(positive="good", read_at="last"))
    with pytest.raises(UserError, match=r"positive is 2, but the model has 2 label\(s\), which count from 0"):
        load_foreign_head(tmp_path, ForeignHead(positive=2, read_at="last"))
