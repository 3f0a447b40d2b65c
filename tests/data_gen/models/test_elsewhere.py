"""Weights that a folder only refers to: found again after a move, and told where they are not."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from data_gen.errors import UserError
from data_gen.models.elsewhere import (
    base_of_adapter,
    note_place,
    point_to_hub,
    point_to_place,
    refer_to_base,
    weights_folder,
    whole_model,
)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with two models of its own and one that refers to the folder `theirs`."""
    for name in ("sft-0123456789abcdef", "sft-fedcba9876543210", "model-00112233445566aa"):
        (tmp_path / "store" / "artifacts" / name / "model").mkdir(parents=True)
    (tmp_path / "theirs").mkdir()
    note_place(tmp_path / "store", "5e", tmp_path / "theirs")
    point_to_place("5e", "theirs", model(tmp_path / "store", "model-00112233445566aa"))
    return tmp_path / "store"


def model(store: Path, name: str) -> Path:
    return store / "artifacts" / name / "model"


def adapter(folder: Path, base: str, **more: str | None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base, **more}))
    return folder


def test_a_folder_is_found_where_the_store_last_saw_it(store: Path, tmp_path: Path) -> None:
    here = model(store, "model-00112233445566aa")
    assert weights_folder(here) == tmp_path / "theirs"
    assert str(tmp_path) not in (here / "external.json").read_text()
    shutil.move(tmp_path / "theirs", tmp_path / "there")
    with pytest.raises(
        UserError, match=rf"'theirs' with sha256 5e, which is not there \(looked in {tmp_path}/theirs\)"
    ):
        weights_folder(here)
    note_place(store, "5e", tmp_path / "there")
    assert weights_folder(here) == tmp_path / "there"
    shutil.copytree(store, tmp_path / "copy")
    assert weights_folder(model(tmp_path / "copy", here.parent.name)) == tmp_path / "there"
    # A place that another machine notes does not hide this one's.
    note_place(store, "5e", tmp_path / "of_another_machine")
    assert weights_folder(here) == tmp_path / "there"


def test_a_damaged_note_is_written_again(store: Path, tmp_path: Path) -> None:
    [note] = (store / "places").iterdir()
    note.write_text('{"paths": [')
    with pytest.raises(UserError, match="'theirs' with sha256 5e, which is not there. Name the folder"):
        weights_folder(model(store, "model-00112233445566aa"))
    note_place(store, "5e", tmp_path / "theirs")
    assert weights_folder(model(store, "model-00112233445566aa")) == tmp_path / "theirs"


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"path": 3}', '{"sha256": "5e"}', '{"hub": "a/b"}'])
def test_a_damaged_pointer_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "external.json").write_text(text)
    with pytest.raises(UserError, match=re.escape(f"{tmp_path}/external.json is damaged. Remove the artifact")):
        weights_folder(tmp_path)


def test_paths_of_earlier_versions_are_read(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "external.json").write_text(json.dumps({"path": str(tmp_path / "weights")}))
    assert weights_folder(tmp_path) == tmp_path / "weights"
    kept = adapter(tmp_path / "kept", str(tmp_path / "weights"))
    assert base_of_adapter(kept) == tmp_path / "weights"
    (tmp_path / "weights").rmdir()
    with pytest.raises(UserError, match=f"has its weights elsewhere, in {tmp_path}/weights, which is not there"):
        weights_folder(tmp_path)
    with pytest.raises(UserError, match=f"was trained on {tmp_path}/weights, which is neither there nor in a folder"):
        base_of_adapter(kept)


@pytest.mark.parametrize("made_in", ["grpo-89abcdef01234567/model", "grpo-89abcdef01234567.partial/out/model"])
def test_an_adapter_finds_its_base_in_a_moved_store(made_in: str, store: Path, tmp_path: Path) -> None:
    base = model(store, "sft-0123456789abcdef")
    kept = adapter(store / "artifacts" / made_in, "written by peft")
    refer_to_base(kept, base)
    assert json.loads((kept / "adapter_config.json").read_text())["base_model_name_or_path"] == (
        "sft-0123456789abcdef/model"
    )
    shutil.move(store, tmp_path / "moved")
    assert base_of_adapter(tmp_path / "moved" / "artifacts" / made_in) == model(
        tmp_path / "moved", "sft-0123456789abcdef"
    )


def test_an_adapter_over_weights_elsewhere(store: Path, tmp_path: Path) -> None:
    kept = adapter(model(store, "sft-fedcba9876543210"), "")
    refer_to_base(kept, model(store, "model-00112233445566aa"))
    assert base_of_adapter(kept) == tmp_path / "theirs"
    above = adapter(store / "artifacts" / "dpo-0000000000000001" / "model", "")
    refer_to_base(above, kept)
    assert base_of_adapter(above) == kept
    assert whole_model(above) == tmp_path / "theirs"
    refer_to_base(kept, above)
    with pytest.raises(UserError, match="is its own base"):
        whole_model(above)


def test_an_adapter_of_a_model_of_the_hub_names_its_commit(store: Path, tmp_path: Path) -> None:
    base = model(store, "sft-0123456789abcdef")
    point_to_hub("some/model", tmp_path / "snapshots" / "c0ffee", base)
    kept = adapter(model(store, "sft-fedcba9876543210"), "")
    refer_to_base(kept, base)
    said = json.loads((kept / "adapter_config.json").read_text())
    assert (said["base_model_name_or_path"], said["revision"]) == ("some/model", "c0ffee")
    for find in (lambda: base_of_adapter(kept), lambda: weights_folder(base)):
        with pytest.raises(UserError, match="'some/model' at c0ffee is not on this machine"):
            find()


def test_a_base_outside_the_store_keeps_its_path(tmp_path: Path) -> None:
    kept = adapter(tmp_path / "mine" / "kept", "")
    (tmp_path / "theirs" / "a" / "base").mkdir(parents=True)
    refer_to_base(kept, tmp_path / "theirs" / "a" / "base")
    assert base_of_adapter(kept) == tmp_path / "theirs" / "a" / "base"


def test_a_base_beside_its_adapter_is_found_by_a_relative_path(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    assert base_of_adapter(adapter(tmp_path / "kept", "../base")).resolve() == tmp_path / "base"
    with pytest.raises(UserError, match=r"was trained on \.\./\.\./gone"):
        base_of_adapter(adapter(tmp_path / "kept", "../../gone"))


def test_an_artifact_that_is_gone_is_not_looked_for_on_the_hub(store: Path) -> None:
    kept = adapter(model(store, "sft-fedcba9876543210"), "sft-ffffffffffffffff/model")
    with pytest.raises(UserError, match=r"was trained on sft-ffffffffffffffff/model.*--fresh"):
        base_of_adapter(kept)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}"])
def test_a_damaged_adapter_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(text)
    with pytest.raises(UserError, match=re.escape(f"{tmp_path}/adapter_config.json is damaged")):
        whole_model(tmp_path)
