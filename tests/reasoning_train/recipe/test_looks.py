"""Files of rows are looked at when a recipe loads, once whatever the number of seeds and stages."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from data_gen.tasks.jsonl import Jsonl
from reasoning_train.recipe.errors import RecipeError
from tests.reasoning_train.recipe.kitchen import load

RECIPE = """
    name: looks
    include: [configs/models/tiny.yaml, configs/tasks/chain.yaml]
    seeds: [0, 1, 2]
    tasks:
      rows: {uses: jsonl, path: rows.jsonl, split: {train: 4, test: 4}, format: "${task.format}"}
    stages:
      train: {uses: part, problems: "${tasks.rows.train}", part: 1, of: 1}
      test: {uses: part, problems: "${tasks.rows.test}", part: 1, of: 1}
"""


def rows(folder: Path, *more: object, n: int = 8) -> None:
    asked = [{"question": f"What is {i} + 1?", "answer": i + 1} for i in range(n)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*asked, *more]), encoding="utf-8")


def test_a_sound_file_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Jsonl] = []
    monkeypatch.setattr(Jsonl, "look", lambda self: looks.append(self))
    rows(tmp_path)
    assert load(tmp_path, RECIPE).nodes
    assert len(looks) == 1


@pytest.mark.parametrize(
    ("more", "n", "message"),
    [
        ([{"question": "", "answer": 1}], 8, "rows.jsonl:9: no question in 'question'"),
        (
            [{"question": "q", "answer": {"x": 1}}],
            8,
            "rows.jsonl:9: column 'answer' (tasks.rows.fields.answer): expected text",
        ),
        ([["q"]], 8, "rows.jsonl:9: expected a JSON object with named columns, found list"),
        ([], 7, "rows.jsonl has 7 distinct questions (0 repeats). Ask for fewer or bring a larger file"),
        ([{"question": "What is 1 + 1?", "answer": 2}], 7, "has 7 distinct questions (1 repeats)"),
        ([], 0, "rows.jsonl: the dataset is empty"),
    ],
)
def test_what_is_wrong_is_told_with_the_place_in_the_recipe(
    tmp_path: Path, more: list[object], n: int, message: str
) -> None:
    rows(tmp_path, *more, n=n)
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, RECIPE)
    [said] = str(caught.value).splitlines()
    assert re.search(r"recipe\.yaml:5: tasks\.rows(\.split)?: ", said) and message in said


def test_a_missing_file_is_told_once(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, RECIPE)
    [said] = str(caught.value).splitlines()
    assert "recipe.yaml:5: tasks.rows.path: there is no file 'rows.jsonl'; looked for" in said
