"""One model on several tasks, each asked by its own text conventions."""

from __future__ import annotations

from pathlib import Path

import pytest

from reasoning_train.recipe.errors import RecipeError
from tests.benchmark_data import write_rows
from tests.reasoning_train.recipe.kitchen import keys, load

RECIPE = """
    name: many
    model: {hub: me/model}
    tasks:
      one: {uses: jsonl, path: rows.jsonl, split: {test: null}, format: {prompt: "Q: {question}"}}
      two: {uses: jsonl, path: rows.jsonl, split: {test: null}, format: {answer_mark: "#### "}}
    stages:
      one: {uses: evaluate, policies: {base: "${model}"}, problems: "${tasks.one.test}", MORE}
      two: {uses: evaluate, policies: {base: "${model}"}, problems: "${tasks.two.test}", MORE}
"""
OF_ONE_TASK = """
    name: one
    model: {hub: me/model}
    task: {uses: jsonl, path: rows.jsonl, split: {test: null}}
    stages:
      one: {uses: evaluate, policies: {base: "${model}"}, problems: "${task.test}", MORE}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_rows(tmp_path / "rows.jsonl", [{"question": f"What is {i}?", "answer": str(i)} for i in range(4)])
    return tmp_path


def test_a_model_without_conventions_meets_every_task(folder: Path) -> None:
    nodes = load(folder, RECIPE.replace("MORE", "conventions: task")).nodes
    assert {"one", "two", "model", "tasks.one.test", "tasks.two.test"} == set(nodes)
    assert "task_format" not in nodes["model"].asked


def test_conventions_that_differ_are_refused_unless_the_recipe_says_whose_apply(folder: Path) -> None:
    with pytest.raises(RecipeError, match=r"stages\.two\.policies\.base: Format mismatch: .*say `conventions: task`"):
        load(folder, RECIPE.replace("MORE", "conventions: policy"))


def test_whose_conventions_apply_is_part_of_the_key_and_the_default_is_not(folder: Path) -> None:
    said = ("limit: null", "conventions: policy", "conventions: task")
    plain, policy, task = (keys(load(folder, OF_ONE_TASK.replace("MORE", one)))["one"] for one in said)
    assert plain == policy != task


def test_a_model_in_a_recipe_without_any_task_is_refused(folder: Path) -> None:
    text = """
        name: none
        model: {hub: me/model}
        stages: {one: {uses: evaluate, policies: {base: "${model}"}, problems: "${model}"}}
    """
    with pytest.raises(RecipeError, match=r"\$\{model\} needs `task:` in the recipe, whose text conventions"):
        load(folder, text)


def test_what_a_named_task_lacks_is_told_by_its_own_name(folder: Path) -> None:
    text = RECIPE.replace("MORE", "conventions: task").replace(
        "path: rows.jsonl, split: {test: null}, format: {a", "format: {a"
    )
    with pytest.raises(
        RecipeError, match=r"tasks\.two\.path: no data\. Name .*`--set tasks\.two\.path=FILE`"
    ) as caught:
        load(folder, text)
    assert "set task." not in str(caught.value)
