"""Tokenizers of public kinds pass; those that would hold or end the process are refused in one sentence."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_gen.errors import UserError
from data_gen.models import tokenizer_check
from data_gen.models.folder import MOST_TEXT, faults
from data_gen.models.tokenizer_check import check_tokenizer
from reasoning_train.models.words import word_tokenizer
from tests.data_gen.tokenizers import KINDS, byte_level

DEEP = '{"a": ' + "[" * 200_000 + "]" * 200_000 + "}"


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> Any:
    return KINDS[request.param]()


def test_tokenizers_of_public_checkpoints_pass(kind: Any, tmp_path: Path) -> None:
    kind.save_pretrained(tmp_path)
    check_tokenizer(tmp_path, "model")


def test_a_closed_vocabulary_may_refuse_texts(tmp_path: Path) -> None:
    word_tokenizer(["1", "+"]).save_pretrained(tmp_path)
    check_tokenizer(tmp_path, "model")


def test_a_folder_without_a_fast_tokenizer_is_left_to_its_loader(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("[UNK]\na\n")
    check_tokenizer(tmp_path, "model")
    with pytest.raises(UserError, match=r"model\.tokenizer: .*gone is no folder; expected one with a tokenizer"):
        check_tokenizer(tmp_path / "gone", "model.tokenizer")


def split_by(pattern: str) -> Callable[[Path], None]:
    """The pre-tokenizer splits by a pattern first."""
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}

    def changed(told: dict[str, Any]) -> None:
        told["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, told["pre_tokenizer"]]}

    return lambda folder: rewritten(folder, changed)


def rewritten(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    told = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    change(told)
    (folder / "tokenizer.json").write_text(json.dumps(told), encoding="utf-8")


def replaced(pattern: dict[str, str], times: int) -> Callable[[Path], None]:
    """The normalizer writes ten letters for each match, `times` times."""
    one = {"type": "Replace", "pattern": pattern, "content": "a" * 10}
    normalizer = {"type": "Sequence", "normalizers": [one] * times}
    return lambda folder: rewritten(folder, lambda told: told.update(normalizer=normalizer))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (split_by(r"(x+x+)+y"), "retry-limit-in-match over"),
        (split_by(r"(\w|\w\w)*\z(?!.)"), "retry-limit-in-match over"),
        (replaced({"String": ""}, 1), "PanicException"),
        (replaced({"Regex": "."}, 2), r"it makes \d{6,} tokens of 20\d\d characters"),
        (replaced({"Regex": "."}, 12), "it runs for more than 10 s"),
        (lambda folder: (folder / "tokenizer.json").write_text(DEEP), "Exception: expected"),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), "Exception: EOF"),
        (lambda folder: os.truncate(folder / "tokenizer.json", MOST_TEXT + 1), f"has {MOST_TEXT + 1} bytes"),
        (lambda folder: (folder / "tokenizer_config.json").write_text(DEEP), r"tokenizer_config\.json is no JSON"),
        (lambda folder: (folder / "added_tokens.json").write_text("[]"), r"added_tokens\.json is no JSON object"),
        (lambda folder: os.mkfifo(folder / "vocab.json"), r"vocab\.json is neither a file nor a folder"),
    ],
    ids=["backtracking", "two", "panic", "many", "endless", "deep", "torn", "huge", "config", "list", "pipe"],
)
def test_hostile_tokenizers_are_refused(
    change: Callable[[Path], Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizer_check._WORKER, "_cpu_seconds", 1.0)  # a test does not wait for all ten
    byte_level().save_pretrained(tmp_path)
    change(tmp_path)
    with pytest.raises(UserError, match=rf"^model\.path: {tmp_path}/.*{message}.*\. Bring [^.]+\.$"):
        check_tokenizer(tmp_path, "model.path")


def test_a_recipe_sees_texts_of_absurd_size_when_it_loads(tmp_path: Path) -> None:
    (tmp_path / "merges.txt").touch()
    os.truncate(tmp_path / "merges.txt", MOST_TEXT + 1)
    assert next(faults(tmp_path)).startswith(f"{tmp_path}/merges.txt has {MOST_TEXT + 1} bytes; expected at most")
