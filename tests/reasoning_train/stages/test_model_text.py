"""`model`: how a model from elsewhere is asked, and what of its tokenizer, template and vocabulary is told at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, GenerationConfig, LlamaConfig, LlamaForCausalLM

from data_gen.errors import UserError
from data_gen.format import Example, TaskFormat
from data_gen.templates.rendering import DATE
from reasoning_train.models.policy import load_policy, save_policy
from reasoning_train.recipe.asked import asked
from reasoning_train.stages.model import ModelConfig, model
from reasoning_train.trainers.setup import pad_id
from tests.data_gen.templates.samples import FORGETFUL, samples
from tests.data_gen.tokenizers import CHATML, byte_level, llama2
from tests.reasoning_train.bench import MODEL, Bench


def saved(folder: Path, tokenizer: Any, *, rows: int | None = None, **more: Any) -> Path:
    """A tiny Llama with this tokenizer and vocabulary."""
    ends = {"eos_token_id": tokenizer.eos_token_id, "bos_token_id": None, "pad_token_id": None} | more
    shape = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = LlamaConfig(vocab_size=rows or len(tokenizer), max_position_embeddings=512, **shape, **ends)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def made(bench: Bench, path: Path, name: str = "m", task: TaskFormat | None = None, **shape: Any) -> Path:
    """The artifact of the stage, as a recipe would make it."""
    config = ModelConfig.model_validate({"path": path, "format": shape, "task_format": task or TaskFormat()})
    assert model.completer is not None
    complete = model.completer(config, lambda ref: {})  # type: ignore[arg-type]
    fields = complete.model_dump(mode="json", exclude_defaults=True)
    return bench.make(name, "model", **fields).path / "model"


def shape_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "format.json").read_text())["model"]
    return found


def test_a_model_that_brings_a_template_is_asked_by_it_unless_the_recipe_says_plain(
    bench: Bench, tmp_path: Path
) -> None:
    chats = saved(tmp_path / "chats", samples()["chatml"].tokenizer)
    bare = saved(tmp_path / "bare", llama2())
    found = [shape_of(made(bench, path, name, **shape)) for path, name, shape in [
        (chats, "a", {}), (chats, "b", {"template": "plain"}), (chats, "c", {"template": "chat"}), (bare, "d", {}),
    ]]  # fmt: skip
    assert [shape["template"] for shape in found] == ["chat", "plain", "chat", "plain"]
    policy = load_policy(made(bench, chats, "e"))
    assert policy.codec.prompt_text("2?") == "<|im_start|>user\n2?<|im_end|>\n<|im_start|>assistant\n"
    assert policy.tokenizer.convert_ids_to_tokens(policy.codec.end_id) == "<|im_end|>"


def test_template_and_date_are_in_the_key_of_models_from_elsewhere_alone() -> None:
    def key(**config: Any) -> Any:
        assert model.completer is not None
        return asked(model.completer(ModelConfig.model_validate(config), lambda ref: {})).get("format")  # type: ignore[arg-type]

    assert key(hub="a/b") == {"template": "auto", "date": DATE}
    assert key(hub="a/b", format={"template": "chat", "date": "2031-02-03"}) == {
        "template": "chat",
        "date": "2031-02-03",
    }
    assert key(hub="a/b", format={"template": "plain"}) is None
    assert key(**MODEL, vocabulary=["a"]) is None


def test_a_published_folder_is_asked_as_it_was_trained(bench: Bench, tmp_path: Path) -> None:
    task = TaskFormat(prompt="Q: {question}", examples=(Example(question="1?", solution="Answer: 1"),))
    first = load_policy(
        made(bench, saved(tmp_path / "base", samples()["chatml"].tokenizer), task=task, system="Be brief.")
    )
    published = tmp_path / "published"
    published.mkdir()
    save_policy(first, published)
    again = load_policy(made(bench, published, "again", task=task))
    assert again.codec.prompt_text("2?") == first.codec.prompt_text("2?")
    changed = load_policy(made(bench, published, "changed", task=task, system="Be long."))
    assert "Be long." in changed.codec.prompt_text("2?")


def test_a_published_policy_stops_and_asks_alike_in_other_programs(bench: Bench, tmp_path: Path) -> None:
    policy = load_policy(made(bench, saved(tmp_path / "base", samples()["chatml"].tokenizer), system="Be brief."))
    (tmp_path / "out").mkdir()
    save_policy(policy, tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    turns = [{"role": "user", "content": "2 + 2?"}]
    assert tokenizer.apply_chat_template(turns, add_generation_prompt=True)["input_ids"] == policy.codec.prompt_ids(
        "2 + 2?"
    )
    ends = GenerationConfig.from_pretrained(tmp_path / "out").eos_token_id
    assert tokenizer.convert_ids_to_tokens(ends) == ["<|endoftext|>", "<|im_end|>"]
    assert policy.model.generation_config.eos_token_id == ends  # TRL reads it there


TOLD = {
    "vocabulary": (byte_level, {"rows": 300}, {}, r"vocabulary of 300 is smaller than its tokenizer's: .* is token"),
    "end": (byte_level, {"eos_token_id": [0, 999]}, {}, r"end tokens \[999\] lie beyond the model's vocabulary of"),
    "odd end": (byte_level, {"eos_token_id": [0, -1]}, {}, r"eos_token_id holds -1; expected ids of tokens"),
    "no template": (llama2, {}, {"template": "chat"}, "brings no chat template"),
    "raises": (lambda: byte_level(template="{{ raise_exception('no') }}"), {}, {}, "refuses a chat of user turns"),
    "system": (lambda: samples()["gemma"].tokenizer, {}, {"system": "Be brief."}, "System role not supported"),
    "plain system": (llama2, {}, {"system": "Be brief."}, "a plain prompt has no system text"),
    "suffix": (
        byte_level,
        {},
        {"plain_suffix": " "},
        "plain_suffix is ' ', and the model is asked by its chat template",
    ),
    "no end": (lambda: byte_level(template=None, eos_token=""), {"eos_token_id": None}, {}, "no eos token"),
    "thinking": (lambda: byte_level(template=FORGETFUL), {}, {}, "drops the solution of a worked example"),
}


@pytest.mark.parametrize("name", sorted(TOLD))
def test_what_cannot_be_asked_or_read_is_told(name: str, bench: Bench, tmp_path: Path) -> None:
    make, weights, shape, wanted = TOLD[name]
    shown = (Example(question="1?", solution="<think>1</think>\nAnswer: 1"),) if name == "thinking" else ()
    with pytest.raises(UserError, match=wanted):
        made(bench, saved(tmp_path / "m", make(), **weights), task=TaskFormat(examples=shown), **shape)


def test_padding_of_either_vocabulary_is_right(bench: Bench, tmp_path: Path) -> None:
    """Rows that no token has, and a pad token that has no row."""
    tokenizer = byte_level(template=CHATML)
    wide = load_policy(made(bench, saved(tmp_path / "wide", tokenizer, rows=len(tokenizer) + 60), "wide"))
    beyond = len(tokenizer) + 5
    split = wide.codec.split([beyond, *wide.tokenizer("Answer: 7")["input_ids"], beyond, wide.codec.end_id])
    assert [(s.kind, s.text) for s in split] == [("answer", "Answer: 7"), ("end", "")]
    rows = len(tokenizer)
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    narrow = load_policy(made(bench, saved(tmp_path / "narrow", tokenizer, rows=rows), "narrow"))
    assert narrow.tokenizer.pad_token_id == rows
    assert pad_id(narrow) == narrow.codec.end_id


def test_an_eos_token_that_is_also_the_pad_token_is_trained_and_ends(bench: Bench, tmp_path: Path) -> None:
    policy = load_policy(made(bench, saved(tmp_path / "m", samples()["chatml_eos"].tokenizer)))
    assert policy.tokenizer.pad_token_id == policy.codec.end_id == pad_id(policy)
    assert policy.codec.end_ids == {policy.tokenizer.eos_token_id}
