"""A model folder is looked at without loading it: every fault by hand, each with its message."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.models.folder import faults
from reasoning_train.recipe.errors import RecipeError
from tests.reasoning_train.recipe.kitchen import load

HEADER = json.dumps({"__metadata__": {}, "w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}).encode()
WHOLE = len(HEADER).to_bytes(8, "little") + HEADER + bytes(16)


def folder(path: Path) -> Path:
    """A whole model of two shards."""
    path.mkdir()
    (path / "config.json").write_text('{"model_type": "llama"}')
    shards = ["model-1.safetensors", "model-2.safetensors"]
    for name in shards:
        (path / name).write_bytes(WHOLE)
    index = {"weight_map": {"w": shards[0], "v": shards[1]}}
    (path / "model.safetensors.index.json").write_text(json.dumps(index))
    return path


def test_a_whole_folder_has_no_fault(tmp_path: Path) -> None:
    assert list(faults(folder(tmp_path / "m"))) == []


def test_what_the_library_writes_has_no_fault(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    made = folder(tmp_path / "m")
    save_file({"a": torch.ones(3, 2), "b": torch.zeros(0), "c": torch.ones(1)}, made / "other.safetensors")
    assert list(faults(made)) == []


DAMAGES: list[tuple[Callable[[Path], object], str]] = [
    (lambda m: (m / "config.json").unlink(), "has no config.json"),
    (lambda m: (m / "config.json").write_text("{"), "config.json is no JSON object"),
    (lambda m: (m / "config.json").write_text("[]"), "config.json is no JSON object"),
    (lambda m: [path.unlink() for path in m.glob("*.safetensors")], "holds no *.safetensors"),
    (lambda m: (m / "model-2.safetensors").unlink(), "index.json lists 'model-2.safetensors', which is not in the"),
    (lambda m: (m / "model.safetensors.index.json").write_text("{"), "lists 'model.safetensors.index.json (damaged)'"),
    (lambda m: (m / "model-1.safetensors").write_bytes(b""), "model-1.safetensors is torn (0 bytes and a header of 0)"),
    (lambda m: (m / "model-1.safetensors").write_bytes(WHOLE[:-1]), "bytes instead of"),
    (lambda m: (m / "model-1.safetensors").write_bytes(WHOLE + b"x"), "bytes instead of"),
    (
        lambda m: (m / "model-1.safetensors").write_bytes(WHOLE[:30]),
        "is torn (30 bytes and a header of",
    ),
    (
        lambda m: (m / "model-1.safetensors").write_bytes(b"\xff" * 60),
        "is torn (60 bytes and a header of",
    ),
    (lambda m: (m / "model-1.safetensors").write_bytes(WHOLE.replace(b"F32", b'F"2')), "(its header is damaged)"),
    (
        lambda m: (m / "model-1.safetensors").write_bytes((2).to_bytes(8, "little") + b"[]"),
        "torn (its header is damaged)",
    ),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_every_fault_is_named(tmp_path: Path, damage: Callable[[Path], object], message: str) -> None:
    made = folder(tmp_path / "m")
    damage(made)
    found = list(faults(made))
    assert found and message in found[0] and str(made) in found[0]


@given(st.binary(max_size=200))
def test_any_bytes_are_torn_or_whole(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    made = folder(tmp_path_factory.mktemp("any") / "m")
    (made / "model-1.safetensors").write_bytes(content)
    assert len(list(faults(made))) == 1


RECIPE = """
    name: folders
    include: [configs/tasks/chain.yaml]
    model: {path: MODEL}
    stages:
      eval: {uses: evaluate, policies: {it: "${model}"}, problems: "${task.test}"}
      prm: {uses: verifier, path: MODEL, kind: classifier, head: {positive: yes, read_at: step_end}}
"""


def test_a_recipe_looks_at_its_folders(tmp_path: Path) -> None:
    made = folder(tmp_path / "m")
    os.truncate(made / "model-2.safetensors", 70)
    for written in (str(made), "m"):  # beside the recipe, too
        with pytest.raises(RecipeError) as caught:
            load(tmp_path, RECIPE.replace("MODEL", written))
        found = str(caught.value).splitlines()
        assert [line.partition(": ")[2].partition(":")[0] for line in found] == ["model.path", "stages.prm.path"]
        assert all(f"{made}/model-2.safetensors is torn (70 bytes" in line for line in found)
    with pytest.raises(RecipeError, match=r"model\.path: there is no file 'gone'; looked for"):
        load(tmp_path, RECIPE.replace("MODEL", "gone"))


def test_looking_imports_nothing_heavy(tmp_path: Path) -> None:
    made = folder(tmp_path / "m")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("\n".join(line[4:] for line in RECIPE.replace("MODEL", str(made)).splitlines()), encoding="utf-8")
    code = f"""
import sys
from pathlib import Path
from reasoning_train.recipe.load import load_plan
load_plan(Path({str(recipe)!r}))
print(sorted({{"torch", "transformers", "datasets", "numpy", "pyarrow", "sympy"}} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
