"""Columns of tables: taken over from the tasks of the problems, one set a task, and no others."""

from __future__ import annotations

from pathlib import Path

from data_gen.records.problem import Problem
from data_gen.tasks.merged import Merged
from reasoning_train.evaluation.columns import Columns, with_columns
from reasoning_train.recipe.load import load_plan
from reasoning_train.store.inputs import build_task

RECIPE = """
name: columns
include: [configs/models/tiny.yaml, configs/tasks/chain.yaml]
task: {measures: [steps]}
tasks: {other: {uses: chain, train: 8, explore: 8, dev: 8, test: 8, graders: {strict: exact}},
        plain: {uses: chain, train: 8, explore: 8, dev: 8, test: 8}}
stages:
  all:   {uses: concat, sources: ["${task.test}", "${tasks.other.test}", "${tasks.plain.test}"]}
  taken: {uses: evaluate, policies: {base: "${model}"}, problems: "${stages.all}"}
  own:   {like: taken, columns: {other: {measures: [steps]}}}
  none:  {uses: evaluate, policies: {base: "${model}"}, problems: "${tasks.plain.test}"}
"""
CHAIN = {"uses": "chain", "train": 8, "explore": 8, "dev": 8, "test": 8}


def test_every_task_gives_its_own_columns_unless_the_recipe_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    nodes = load_plan(path).nodes
    taken = nodes["taken"].config["columns"]
    assert {name: [*one["measures"], *one["graders"]] for name, one in taken.items()} == {
        "": [{"uses": "steps"}],
        "other": ["strict"],
    }
    assert list(nodes["own"].config["columns"]) == ["other"]
    assert nodes["none"].config["columns"] == {}


def test_a_task_has_the_columns_that_it_is_given_and_no_others() -> None:
    measured = build_task({**CHAIN, "measures": ["steps"]})
    assert with_columns(measured, ["a"], {"b": Columns(measures=measured.measures)}).directions() == {}
    merged = Merged(members={"a": measured, "b": build_task(CHAIN)}, format=measured.format)
    moved = with_columns(merged, merged.members, {"b": Columns(measures=measured.measures)})
    assert isinstance(moved, Merged)
    assert [
        len(moved.of(Problem(id="p", question="?", gold="1", group="p", split="test", task=name)).measures)
        for name in "ab"
    ] == [0, 1]
