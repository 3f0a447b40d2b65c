"""Keys: what changes them, how far the change reaches, and what leaves them alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasoning_train.api.refs import Ref
from reasoning_train.recipe.keys import node_key
from tests.reasoning_train.recipe.kitchen import RECIPE, keys, load, write

ALL = {"model", "task.train", "task.test", "task.train.gold", "base", "sample", "tuned", "eval", "claim"}
AFTER_SAMPLE = {"sample", "tuned", "eval", "claim"}
AFTER_TUNED = {"tuned", "eval", "claim"}
SEEDED = {"model", "base", *AFTER_SAMPLE}


@pytest.mark.parametrize(
    ("override", "changed"),
    [
        ("stages.sample.n=5", AFTER_SAMPLE),
        ("stages.sample.seed=5", AFTER_SAMPLE),
        ("stages.tuned.rate=1e-4", AFTER_TUNED),
        ("stages.tuned.steps=11", AFTER_TUNED),
        ("stages.tuned.shape=[2, 1]", AFTER_TUNED),
        ("stages.tuned.schedule=constant", AFTER_TUNED),
        ("stages.tuned.packing=false", AFTER_TUNED),
        ("stages.tuned.label=x", AFTER_TUNED),
        ("stages.tuned.until={}", AFTER_TUNED),
        ("stages.tuned.notes={a: 1}", AFTER_TUNED),
        ("stages.tuned.policy='${model}'", AFTER_TUNED),
        ("stages.tuned.data='${task.train.gold}'", AFTER_TUNED),
        ("seed=1", SEEDED),
        ("model.init.layers=9", SEEDED),
        ("task.steps=4", ALL - {"model"}),
        ("task.format.answer_mark='A: '", ALL),
        # The same recipe in other words, and what is no part of the result.
        ("stages.sample.n=4", set()),
        ("stages.sample.seed=0", set()),
        ("stages.tuned.rate=0.001", set()),
        ("stages.tuned.data='${stages.sample.data}'", set()),
        ("stages.tuned.micro=4", set()),
        ("stages.sample.resources={threads: 2, shards: 3}", set()),
        ("name=other", set()),
        ("description=words", set()),
    ],
)
def test_what_a_change_reaches(tmp_path: Path, override: str, changed: set[str]) -> None:
    before, after = keys(load(tmp_path)), keys(load(tmp_path, RECIPE, override))
    assert before.keys() == after.keys() == ALL
    assert {name for name in ALL if before[name] != after[name]} == changed


def test_names_are_no_part_of_keys(tmp_path: Path) -> None:
    before = load(tmp_path)
    after = load(tmp_path, RECIPE.replace("stages.tuned}", "stages.better}").replace("tuned: {", "better: {"))
    assert after.nodes["better"].key == before.nodes["tuned"].key
    assert keys(after)["claim"] == keys(before)["claim"]


def test_the_bytes_of_a_file_count_and_not_its_path(tmp_path: Path) -> None:
    for name, content in {"a.txt": "same", "sub/b.txt": "same", "c.txt": "other"}.items():
        write(tmp_path, content, name)
    made = {
        name: load(tmp_path, RECIPE, f"stages.base.file={name}", f"task.path={name}")
        for name in ("a.txt", "sub/b.txt", "c.txt")
    }
    assert keys(made["a.txt"]) == keys(made["sub/b.txt"])
    assert all(keys(made["a.txt"])[name] != keys(made["c.txt"])[name] for name in ("base", "task.train", "claim"))


def test_the_files_of_a_folder_count(tmp_path: Path) -> None:
    write(tmp_path, "one", "folder/a.txt")
    before = load(tmp_path, RECIPE, "stages.base.file=folder").nodes["base"].key
    write(tmp_path, "two", "folder/deep/b.txt")
    assert load(tmp_path, RECIPE, "stages.base.file=folder").nodes["base"].key != before


def test_a_key_known_by_heart() -> None:
    """Changes only with KEY_SCHEMA: no artifact of an earlier release would be found again."""
    made = node_key(
        uses="sample",
        version=2,
        asked={"policy": Ref("base"), "rate": 1e-5, "path": "/a", "names": ["é"]},
        pieces={"search": ("mcts", 2), "scorer": ("head", 1)},
        seed=3,
        identify=lambda ref: ("k" * 4, "model"),
        files={"/a": "0" * 4},
    )
    assert made == "858b96063f7d19d68d46d47ddffee368e41ba928aaba0704c4adf71dbad05ca7"


_configs = st.dictionaries(
    st.text(),
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.lists(st.integers()),
)


def _key(config: dict[str, object]) -> str:
    return node_key(uses="x", version=1, asked=config, pieces={}, seed=None, identify=lambda ref: ("", ""), files={})


@given(_configs, _configs)
def test_keys_are_equal_where_configs_are(one: dict[str, object], two: dict[str, object]) -> None:
    assert _key(one) == _key(dict(reversed(one.items())))
    assert (_key(one) == _key(two)) == (repr(sorted(one.items())) == repr(sorted(two.items())))
