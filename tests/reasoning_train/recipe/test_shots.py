"""Few-shots: a recipe that loads takes worked examples from a split of the task into its format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from data_gen.errors import UserError
from data_gen.tasks.jsonl import Jsonl
from reasoning_train.recipe.errors import RecipeError
from tests.benchmark_data import built, file
from tests.reasoning_train.recipe.kitchen import keys, load

RECIPE = """
    name: shots
    include: [configs/models/tiny.yaml]
    seeds: [0, 1]
    task:
      uses: jsonl
      path: rows.jsonl
      fields: {steps: steps}
      split: {shots: 2, train: 3, test: 3}
      MORE
    stages:
      train: {uses: part, problems: "${task.train}", part: 1, of: 1}
      test: {uses: part, problems: "${task.test}", part: 1, of: 1}
"""


def rows(folder: Path, n: int = 8, **more: Any) -> None:
    asked = [{"question": f"What is {i} + 1?", "answer": i + 1, "steps": f"{i} + 1 = {i + 1}"} for i in range(n)]
    text = "".join(json.dumps({**row, **more}) + "\n" for row in asked)
    (folder / "rows.jsonl").write_text(text, encoding="utf-8")


def recipe(**more: Any) -> str:
    return RECIPE.replace("MORE", "\n      ".join(f"{name}: {json.dumps(value)}" for name, value in more.items()))


def task(folder: Path, **more: Any) -> Jsonl:
    split = {"shots": 2, "train": 3, "test": 3}
    return Jsonl(uses="jsonl", path=folder / "rows.jsonl", fields={"steps": "steps"}, split=split, **more)


def test_a_recipe_with_shots_is_one_whose_examples_are_written_out(tmp_path: Path) -> None:
    rows(tmp_path)
    made = task(tmp_path, shots={"n": 2}).with_shots()
    shown = [{"question": e.question, "solution": e.solution} for e in made.format.examples]
    number = [int(example["question"].split()[2]) for example in shown]
    assert [e["solution"] for e in shown] == [f"{i} + 1 = {i + 1}\nAnswer: {i + 1}" for i in number]
    for split in ("train", "test"):
        assert not {p.question for p in made.problems(split)} & {e["question"] for e in shown}
    plan = load(tmp_path, recipe(shots={"n": 2}))
    assert keys(plan) == keys(load(tmp_path, recipe(format={"examples": shown})))
    fewer = keys(load(tmp_path, recipe(shots={"n": 1})))
    assert not set(keys(plan).values()) & set(fewer.values())


def test_the_same_task_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows(tmp_path)
    asked: list[Jsonl] = []
    own = Jsonl.with_shots
    monkeypatch.setattr(Jsonl, "with_shots", lambda self: asked.append(self) or own(self))
    load(tmp_path, recipe(shots={"n": 2}))
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("more", "column", "message"),
    [
        ({"shots": {"n": 3}}, {}, "task.shots.n: 3 examples, but the split 'shots' has 2 problems with worked steps"),
        ({"shots": {}}, {"steps": None}, "task.shots.n: 4 examples, but the split 'shots' has 0 problems"),
        ({"shots": {"split": "shot"}}, {}, "task.shot: no split 'shot' in this task. Did you mean 'shots'?"),
        ({"shots": {"split": "test"}}, {}, "task.shots.split: 'test' is evaluated"),
        ({"shots": {"split": "dev"}}, {}, "task.shots.split: 'dev' is evaluated"),
        ({"shots": {"n": 0}}, {}, "task.shots.n: "),
        (
            {"shots": {"n": 1}, "format": {"examples": [{"question": "q", "solution": "s"}]}},
            {},
            "task.shots: format.examples names worked examples already",
        ),
        (
            {"shots": {"n": 1}, "format": {"extract": ["boxed"]}},
            {},
            "task.shots: format.extract finds no answer behind",
        ),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, more: dict[str, Any], column: dict[str, Any], message: str) -> None:
    rows(tmp_path, **column)
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, recipe(**more))
    assert message in str(caught.value)


def test_a_hub_dataset_is_not_read_for_examples() -> None:
    with pytest.raises(UserError, match=r"task\.shots: examples are read from local files only"):
        built("gsm8k", shots={"split": "train"}).with_shots()


def test_eight_shots_of_gsm8k() -> None:
    files = {split: file(f"gsm8k_{split}.jsonl") for split in ("train", "test")}
    made = built("gsm8k", paths=files, split={"shots": 8, "dev": 200, "train": None}, shots={"n": 8}).with_shots()
    assert len(made.format.examples) == 8 and all("<<" not in e.solution for e in made.format.examples)
