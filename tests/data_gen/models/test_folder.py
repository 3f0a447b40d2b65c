"""A model folder is looked at without loading it: every fault by hand, each with its message."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.models.folder import faults
from reasoning_train.recipe.errors import RecipeError
from reasoning_train.recipe.files import digest
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


def cleared(made: Path, number: int) -> bool:
    """Remove a shard."""
    (made / f"model-{number}.safetensors").unlink()
    return True


def index(made: Path, name: str) -> None:
    """Make the index name another file for a tensor, which exists."""
    (made.parent / "outside.safetensors").write_bytes(WHOLE)
    (made / "evil.bin").write_bytes(b"no safetensors")
    found = {"weight_map": {"w": name, "v": "model-2.safetensors"}}
    (made / "model.safetensors.index.json").write_text(json.dumps(found))


def header(made: Path, **changes: object) -> None:
    """Change what the header of the first shard says of its only tensor."""
    told = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16], **changes}
    text = json.dumps({"w": told}).encode()
    (made / "model-1.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + bytes(16))


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
    (lambda m: os.mkfifo(m / "pipe"), "pipe is neither a file nor a folder"),
    (lambda m: ((m / "config.json").unlink(), os.mkfifo(m / "config.json")), "config.json is neither a file nor"),
    (lambda m: (m / "model-1.safetensors").symlink_to("/dev/zero") if cleared(m, 1) else None, "neither a file nor"),
    (lambda m: index(m, "../outside.safetensors"), "index.json lists '../outside.safetensors', which is not in"),
    (lambda m: index(m, "/etc/passwd"), "index.json lists '/etc/passwd', which is not in the folder"),
    (lambda m: index(m, "evil.bin"), "index.json lists 'evil.bin', which is not in the folder"),
    (lambda m: (m / "model.safetensors.index.json").unlink(), "holds no model.safetensors or model.safetensors.index"),
    (lambda m: (m / "config.json").write_text('{"num_hidden_layers": 10000000}'), "expected a whole number up to 2"),
    (lambda m: (m / "config.json").write_text('{"vocab_size": 10000000000}'), "expected a whole number up to 8"),
    (lambda m: (m / "config.json").write_text('{"hidden_size": -64}'), "hidden_size is '-64'; expected"),
    (lambda m: (m / "config.json").write_text('{"text_config": {"hidden_size": "64"}}'), "hidden_size is '64'"),
    (lambda m: (m / "config.json").write_text('{"max_position_embeddings": 1000000000000}'), "what any model has"),
    (lambda m: header(m, shape=[2**40, 2**40]), "has 16 bytes, which do not fit its shape"),
    (lambda m: header(m, shape=[-4]), "(its header is damaged)"),
    (lambda m: header(m, data_offsets=[-5, 16]), "(its header is damaged)"),
    (lambda m: header(m, data_offsets=[0, 10**9], shape=[10**9 // 4]), "bytes instead of"),
    (lambda m: header(m, data_offsets=[8, 24]), "lies at 8 to 24, not from 0 on"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_every_fault_is_named(tmp_path: Path, damage: Callable[[Path], object], message: str) -> None:
    made = folder(tmp_path / "m")
    damage(made)
    found = list(faults(made))
    assert found and message in found[0] and str(made) in found[0]


def adapter(path: Path, base: Path | str, **config: object) -> Path:
    """An adapter of rank 4."""
    path.mkdir()
    (path / "adapter_model.safetensors").write_bytes(WHOLE)
    told = {"peft_type": "LORA", "r": 4, "base_model_name_or_path": str(base), **config}
    (path / "adapter_config.json").write_text(json.dumps(told))
    return path


def test_an_adapter_is_as_sound_as_its_base(tmp_path: Path) -> None:
    base = folder(tmp_path / "base")
    assert list(faults(adapter(tmp_path / "a", base))) == []
    assert list(faults(adapter(tmp_path / "hub", "org/name"))) == []
    assert list(faults(adapter(tmp_path / "twice", tmp_path / "a"))) == []
    assert list(faults(adapter(tmp_path / "loop", tmp_path / "loop"))) == []  # told when it is loaded
    for name, made in {
        "r is '1000000000'": adapter(tmp_path / "rank", base, r=10**9),
        "the adapter's base: /etc holds no": adapter(tmp_path / "etc", "/etc"),
    }.items():
        assert any(re.search(name, said) for said in faults(made)), name
    (tmp_path / "a" / "adapter_model.safetensors").rename(tmp_path / "a" / "other.safetensors")
    (tmp_path / "a" / "adapter_model.bin").write_bytes(b"a pickle")
    assert "holds no adapter_model.safetensors, by which" in next(faults(tmp_path / "a"))


def test_the_base_of_an_adapter_is_part_of_its_digest(tmp_path: Path) -> None:
    base = folder(tmp_path / "base")
    made = adapter(tmp_path / "a", base)
    whole, first = digest(base), digest(made)
    (base / "config.json").write_text('{"model_type": "mistral"}')
    assert digest(base) != whole and digest(made) != first
    assert digest(adapter(tmp_path / "again", base)) == digest(made)
    looped = adapter(tmp_path / "loop", tmp_path / "loop")
    assert digest(looped) == digest(looped)


def weights_of(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    sides = {"vocab_size": 16, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**sides, num_attention_heads=1, num_key_value_heads=1))
    model.save_pretrained(tmp_path / "m")
    return tmp_path / "m", model.state_dict()


def test_no_pickle_is_loaded_whatever_lies_beside_it(tmp_path: Path) -> None:
    import torch

    from data_gen.checkpoints import load_causal

    made, weights = weights_of(tmp_path)
    torch.save({name: tensor * 0 for name, tensor in weights.items()}, made / "pytorch_model.bin")
    assert load_causal(made).lm_head.weight.abs().sum() > 0
    (made / "model.safetensors").rename(made / "unrelated.safetensors")
    with pytest.raises(ValueError, match="holds no model.safetensors"):
        load_causal(made)
    (made / "unrelated.safetensors").rename(made / "model.safetensors")
    lora = adapter(tmp_path / "a", made, task_type="CAUSAL_LM", target_modules=["q_proj"])
    (lora / "adapter_model.safetensors").unlink()
    torch.save({}, lora / "adapter_model.bin")
    with pytest.raises(ValueError, match="holds no"):
        load_causal(lora)


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
    pointer = tmp_path / "pointer"  # an artifact that has its weights elsewhere: they are not looked for behind it
    pointer.mkdir()
    (pointer / "external.json").write_text('{"sha256": "5e", "name": "m"}')
    with pytest.raises(RecipeError, match=r"stages\.prm\.path: .*pointer holds no \*\.safetensors"):
        load(tmp_path, RECIPE.replace("MODEL", "pointer"))
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
