"""Saving and loading policies: round trips, adapters, weights elsewhere, missing and torn files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from data_gen.checkpoints import has_lm_head
from data_gen.errors import LoadError, UserError
from data_gen.records.scales import Scale
from data_gen.tasks.chain import Chain
from data_gen.verifiers.checkpoint import save_verifier
from data_gen.verifiers.heads import HeadConfig
from reasoning_train.models.policy import Policy, load_policy, read_served, refuse_served, save_policy
from reasoning_train.models.words import word_tokenizer
from tests.data_gen.verifiers.tiny import verifier
from tests.reasoning_train.bench import Bench

TASK = Chain(uses="chain")
IDS = torch.tensor([[3, 9, 14, 8, 21, 5]])


@pytest.fixture
def folder(bench: Bench) -> Path:
    bench.model()
    return bench.store.open(bench.nodes["model"]).path / "model"


def logits(policy: Policy) -> torch.Tensor:
    with torch.no_grad():
        return policy.model(input_ids=IDS).logits


def test_a_policy_survives_saving(folder: Path, tmp_path: Path) -> None:
    policy = load_policy(folder)
    (tmp_path / "again").mkdir()
    save_policy(policy, tmp_path / "again")
    again = load_policy(tmp_path / "again")
    assert torch.equal(logits(policy), logits(again))
    assert again.format == policy.format
    assert again.end_ids == policy.end_ids == {policy.tokenizer.eos_token_id}
    assert again.context == 128
    assert again.codec.prompt_ids("Ana has 7 coins.") == policy.codec.prompt_ids("Ana has 7 coins.")
    assert not again.model.training
    assert not list((tmp_path / "again").glob("*.bin"))


def test_all_end_ids_of_the_generation_config_count(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "chat")
    (tmp_path / "chat" / "generation_config.json").write_text('{"eos_token_id": [7, 9]}')
    policy = load_policy(tmp_path / "chat")
    assert policy.end_ids == policy.codec.end_ids == {7, 9, policy.tokenizer.eos_token_id}
    save_policy(policy, tmp_path / "again")
    assert load_policy(tmp_path / "again").end_ids == policy.end_ids


def test_weights_may_lie_elsewhere(folder: Path, bench: Bench) -> None:
    artifact = bench.make("external", "model", path=str(folder), task_format={"answer_mark": "So: "})
    assert {path.name for path in (artifact.path / "model").iterdir()} >= {"format.json", "external.json"}
    assert not (artifact.path / "model" / "model.safetensors").exists()
    policy = load_policy(artifact.path / "model")
    assert torch.equal(logits(policy), logits(load_policy(folder)))
    assert policy.format.task.answer_mark == "So: "


def _without(weights: Path, name: str) -> None:
    save_file(
        {key: tensor for key, tensor in load_file(weights).items() if name not in key},
        weights,
        metadata={"format": "pt"},
    )


BREAKS: dict[str, Callable[[Path], Any]] = {
    "no weights": lambda folder: (folder / "model.safetensors").unlink(),
    "torn weights": lambda folder: (folder / "model.safetensors").write_bytes(
        (folder / "model.safetensors").read_bytes()[:-100]
    ),
    "a tensor less": lambda folder: _without(folder / "model.safetensors", "layers.0.mlp.up_proj"),
    "no config": lambda folder: (folder / "config.json").unlink(),
    "torn config": lambda folder: (folder / "config.json").write_text('{"model_type": "lla'),
    "torn tokenizer": lambda folder: (folder / "tokenizer.json").write_text('{"version'),
    "no tokenizer": lambda folder: [path.unlink() for path in folder.glob("tokenizer*")],
    "no format": lambda folder: (folder / "format.json").unlink(),
    "torn format": lambda folder: (folder / "format.json").write_text('{"task'),
}


@pytest.mark.parametrize("broken", BREAKS)
def test_a_checkpoint_with_missing_or_torn_files_is_explained(folder: Path, tmp_path: Path, broken: str) -> None:
    save_policy(load_policy(folder), tmp_path)
    BREAKS[broken](tmp_path)
    with pytest.raises(
        UserError, match=rf"The checkpoint in {tmp_path} cannot be loaded .*Remove the folder and run again"
    ) as caught:
        load_policy(tmp_path)
    assert "Expected format.json, config.json, model.safetensors and tokenizer.json, whole" in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(folder: Path, tmp_path: Path, value: float) -> None:
    policy = load_policy(folder)
    with torch.no_grad():
        policy.model.model.norm.weight[3] = value
    save_policy(policy, tmp_path)
    with pytest.raises(
        UserError, match=r"its weight 'model\.norm\.weight' holds NaN or infinity.* bring other weights"
    ):
        load_policy(tmp_path)


def test_an_adapter_folder_loads_as_the_policy_that_was_saved(folder: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    policy = load_policy(folder)
    base = logits(policy)
    policy.model = get_peft_model(policy.model, LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False))
    adapted = logits(policy)
    assert not torch.allclose(base, adapted, atol=1e-3)
    save_policy(policy, tmp_path)
    assert (tmp_path / "adapter_model.safetensors").exists()
    assert not (tmp_path / "model.safetensors").exists()
    again = load_policy(tmp_path)
    assert torch.allclose(logits(again), adapted, atol=1e-5)
    assert again.end_ids == policy.end_ids
    # It is a plain model again: what trains all of it next, saves all of it.
    (tmp_path / "whole").mkdir()
    save_policy(again, tmp_path / "whole")
    assert torch.equal(logits(load_policy(tmp_path / "whole")), logits(again))
    assert json.loads((tmp_path / "whole" / "config.json").read_text())["model_type"] == "llama"


glued = st.sampled_from([*(f" {word}" for word in TASK.vocabulary()), " ", "\n", "1", "2", "."])


@given(st.lists(glued, max_size=20).map("".join))
def test_word_tokens_give_the_text_back(text: str) -> None:
    tokenizer = word_tokenizer(TASK.vocabulary())
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.unk_token_id not in ids
    assert tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False) == text


def test_every_problem_of_the_task_is_in_the_vocabulary() -> None:
    tokenizer = word_tokenizer(TASK.vocabulary())
    for problem in Chain(uses="chain", dev=20).problems("dev"):
        text = "\n".join([problem.question, *problem.gold_steps, f"Answer: {problem.gold}"])
        ids = tokenizer(text)["input_ids"]
        assert tokenizer.unk_token_id not in ids
        assert tokenizer.decode(ids) == text


def test_digits_are_tokens_of_their_own_and_pad_is_not_eos() -> None:
    tokenizer = word_tokenizer(TASK.vocabulary())
    assert tokenizer.tokenize("12 + 8") == ["1", "2", " +", " 8"]
    assert len({tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id}) == 3


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", ["scalar", "two_layer", "from_vocab"])
def test_a_verifier_opens_as_what_it_may_be_trained_from(tmp_path: Path, kind: Any, tied: bool) -> None:
    """Its backbone, to the last bit; only the language-model head may be missing."""
    scale = Scale.PROGRESS if kind == "from_vocab" else Scale.P
    made = verifier(HeadConfig(kind=kind, scale=scale), shape={"tie_word_embeddings": tied})
    save_verifier(made, tmp_path)
    body = made.backbone if kind == "from_vocab" else None
    assert has_lm_head(tmp_path) == bool(body)
    if not body and not tied:
        with pytest.raises(
            UserError, match=r"1 tensors of the model are missing from its files; the first is 'lm_head.weight'"
        ):
            load_policy(tmp_path)
    opened = load_policy(tmp_path, lm_head=False)
    with torch.no_grad():
        wanted = (body.model if body else made.backbone)(input_ids=IDS).last_hidden_state
        assert torch.equal(opened.model.model(input_ids=IDS).last_hidden_state, wanted)
        if body:
            assert torch.equal(logits(opened), body(input_ids=IDS).logits)
    weights = tmp_path / "model.safetensors"
    tensors = {name: tensor for name, tensor in load_file(weights).items() if "layers.1.mlp.up" not in name}
    save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(
        UserError, match=r"cannot be loaded \(ValueError: 1 tensors of the model are missing from its files"
    ):
        load_policy(tmp_path, lm_head=False)
    save_file(
        {name: tensor for name, tensor in tensors.items() if "embed" not in name}, weights, metadata={"format": "pt"}
    )
    with pytest.raises(UserError, match=r"the first is '(model.embed_tokens|lm_head).weight'"):
        load_policy(tmp_path, lm_head=False)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("LlamaForCausalLM", True),
        ("GPT2LMHeadModel", True),
        ("GPT2Model", False),
        ("Qwen2ForTokenClassification", False),
    ],
)
def test_which_weights_have_a_language_model_head(tmp_path: Path, name: str, expected: bool) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"architectures": [name]}))
    assert has_lm_head(tmp_path) == expected
    (tmp_path / "config.json").unlink()  # adapters beside a base have none
    assert has_lm_head(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "3"])
def test_a_damaged_config_is_told_before_a_head_is_looked_for(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(LoadError, match=r"config\.json is damaged \(.*Re-make the checkpoint"):
        has_lm_head(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}", '{"name": "m"}', '{"name": "m", "context": Infinity}'])
def test_a_damaged_name_of_a_served_model_is_told(tmp_path: Path, text: str) -> None:
    assert read_served(tmp_path) is None
    (tmp_path / "served.json").write_text(text)
    for read in (read_served, refuse_served, load_policy):
        with pytest.raises(LoadError, match=r"served\.json is damaged \(.*Remove the artifact and run again"):
            read(tmp_path)
