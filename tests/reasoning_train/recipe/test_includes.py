"""Includes and `--set`: what wins over what, where files are looked for, and the messages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasoning_train.api.checkout import CHECKOUT
from reasoning_train.recipe.errors import RecipeError
from reasoning_train.recipe.includes import load_document, merge
from reasoning_train.recipe.yaml_core import Document
from tests.reasoning_train.recipe.kitchen import write


def value(path: Path, *overrides: str) -> dict[str, Any]:
    return load_document(path, overrides).value


def test_later_includes_win_and_the_recipe_wins_over_all(tmp_path: Path) -> None:
    write(tmp_path, "task: {a: 1, b: 1, c: 1, l: [1, 2, 3]}\n", "one.yaml")
    write(tmp_path, "task: {b: 2, c: 2, l: [9]}\n", "two.yaml")
    recipe = write(tmp_path, "name: x\ninclude: [one.yaml, two.yaml]\ntask: {c: 3}\n")
    assert value(recipe) == {"name": "x", "task": {"a": 1, "b": 2, "c": 3, "l": [9]}}
    assert value(recipe, "task.c=4", "task.d=1e-5") == {
        "name": "x",
        "task": {"a": 1, "b": 2, "c": 4, "l": [9], "d": 1e-5},
    }


def test_origins_follow_the_winner(tmp_path: Path) -> None:
    write(tmp_path, "task:\n  a: 1\n  l: [1, 2]\n", "one.yaml")
    origins = load_document(write(tmp_path, "include: [one.yaml]\ntask: {l: [3]}\n"), ["task.n={k: 1}"]).origins
    at = {name: where.removeprefix(str(tmp_path) + "/") for name, where in origins.items()}
    assert {name: where.rpartition("/")[2] for name, where in at.items()} == {
        "task": "recipe.yaml:2",
        "task.a": "one.yaml:2",
        "task.l": "recipe.yaml:2",
        "task.l.0": "recipe.yaml:2",
        "task.n": "--set",
        "task.n.k": "--set",
    }


def test_an_include_may_include(tmp_path: Path) -> None:
    write(tmp_path, "model: {a: 1}\n", "parts/deep.yaml")
    write(tmp_path, "include: [deep.yaml]\nmodel: {b: 2}\n", "parts/mid.yaml")
    assert value(write(tmp_path, "include: [parts/mid.yaml]\n")) == {"model": {"a": 1, "b": 2}}


def test_files_are_found_in_the_current_folder_and_in_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "name: here\n", "project/configs/own.yaml")
    recipe = write(tmp_path, "include: [configs/own.yaml, configs/models/tiny.yaml]\n", "elsewhere/recipe.yaml")
    monkeypatch.chdir(tmp_path / "project")
    assert value(recipe)["name"] == "here"
    assert value(recipe)["model"]["tokenizer"] == "task"


_maps = st.recursive(
    st.integers() | st.lists(st.integers()), lambda inner: st.dictionaries(st.sampled_from("abc"), inner), max_leaves=8
)
_documents = st.dictionaries(st.sampled_from("abc"), _maps).map(Document)


@given(_documents, _documents, _documents)
def test_merge_is_associative(one: Document, two: Document, three: Document) -> None:
    # Only where no map stands against a scalar: there the middle one may cut what the first and the last would join.
    left, right = merge(merge(one, two), three).value, merge(one, merge(two, three)).value
    if not _clash(one.value, two.value) and not _clash(two.value, three.value) and not _clash(one.value, three.value):
        assert left == right


@given(_documents, _documents)
def test_merge_keeps_all_of_the_upper(below: Document, above: Document) -> None:
    merged = merge(below, above)
    assert merge(merged, above).value == merged.value
    assert merge(Document({}), above).value == above.value == merge(above, Document({})).value


def _clash(one: Any, two: Any) -> bool:
    if isinstance(one, dict) and isinstance(two, dict):
        return any(_clash(one[key], two[key]) for key in one.keys() & two.keys())
    return isinstance(one, dict) != isinstance(two, dict)


def test_set_reaches_into_lists_and_makes_maps(tmp_path: Path) -> None:
    recipe = write(tmp_path, "seeds: [1, 2]\nstages: {a: {uses: x}}\nmodel:\n")
    assert value(recipe, "seeds.1=5")["seeds"] == [1, 5]
    assert value(recipe, "stages.a.resources.threads=2")["stages"]["a"]["resources"] == {"threads": 2}
    assert value(recipe, "model.a.b=no")["model"] == {"a": {"b": "no"}}
    assert value(recipe, "name=a=b")["name"] == "a=b"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("stages.a.n", "--set stages.a.n: expected PATH=VALUE, such as --set stages.sample.n=4."),
        ("stages..n=1", "--set stages..n=1: expected PATH=VALUE, such as --set stages.sample.n=4."),
        (
            "include=[x]",
            "--set include=[x]: `include` cannot be set; set the values that it brings, or copy the recipe.",
        ),
        (
            "tasks.a.include=[x]",
            "--set tasks.a.include=[x]: `include` cannot be set; set the values that it brings, or copy the recipe.",
        ),
        ("stages.smaple.n=1", "--set stages.smaple.n=1: there is no 'smaple' in stages. Did you mean 'sample'?"),
        ("seeds.2=1", "--set seeds.2=1: seeds is a list of 2, so '2' must be a number below that."),
        ("seeds.x=1", "--set seeds.x=1: seeds is a list of 2, so 'x' must be a number below that."),
        ("name.x=1", "--set name.x=1: name is 'r', which has no field 'x'."),
        (
            "stages.again.uses=z",
            "--set stages.again.uses=z: stages.again is '${stages.sample}', which has no field 'uses'. "
            "Set the field where it is written, or stages.again as a whole.",
        ),
        ("name=[1", "--set name=[1: not valid YAML: "),
    ],
)
def test_set_refusals(tmp_path: Path, override: str, message: str) -> None:
    recipe = write(tmp_path, 'name: r\nseeds: [1, 2]\nstages: {sample: {uses: x}, again: "${stages.sample}"}\n')
    with pytest.raises(RecipeError) as caught:
        load_document(recipe, [override])
    assert str(caught.value).startswith(message)


def test_circle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "include: [b.yaml]\n", "a.yaml")
    write(tmp_path, "include: [a.yaml]\n", "b.yaml")
    with pytest.raises(RecipeError, match=r"^a\.yaml: the includes form a circle: a\.yaml -> b\.yaml -> a\.yaml\.$"):
        load_document(Path("a.yaml"))


def test_missing_include_names_the_places_and_the_nearest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = write(tmp_path, "name: x\ninclude: [configs/models/tinny.yaml]\n")
    with pytest.raises(RecipeError) as caught:
        load_document(recipe.relative_to(tmp_path))
    start = (
        "recipe.yaml:2: include: there is no file 'configs/models/tinny.yaml'; looked for configs/models/tinny.yaml, "
    )
    assert str(caught.value).startswith(start)
    assert str(caught.value).count("configs/models/tinny.yaml") == 3  # as written, beside the recipe, in the checkout
    assert str(caught.value).endswith("Did you mean 'configs/models/tiny.yaml'?")


def test_include_must_be_a_list(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"recipe\.yaml:1: include: expected a list of files, got 'x.yaml'"):
        load_document(write(tmp_path, "include: x.yaml\n"))


def test_no_such_recipe(tmp_path: Path) -> None:
    with pytest.raises(
        RecipeError, match=r"there is no such recipe\. `reasoning-train list recipes` names those that ship\."
    ):
        load_document(tmp_path / "none.yaml")
    with pytest.raises(RecipeError, match=r"is a folder; name the recipe's file\."):
        load_document(tmp_path)


def test_a_misspelt_recipe_gets_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CHECKOUT)
    with pytest.raises(RecipeError, match=r"no such recipe\. Did you mean 'recipes/rejection_sampling/tiny\.yaml'\?"):
        load_document(Path("recipes/rejection_samplng/tiny.yaml"))


def test_a_named_task_has_the_task_of_its_includes(tmp_path: Path) -> None:
    write(tmp_path, "task: {uses: jsonl, path: a, format: {prompt: p, ends: [x]}}\n", "one.yaml")
    write(tmp_path, "task:\n  format:\n    prompt: q\n", "two.yaml")
    recipe = write(
        tmp_path,
        """
        name: x
        tasks:
          a: {include: [one.yaml, two.yaml], path: b}
          b: {uses: chain}
        """,
    )
    document = load_document(recipe, ["tasks.a.format.ends=[]"])
    assert document.value["tasks"] == {
        "a": {"uses": "jsonl", "path": "b", "format": {"prompt": "q", "ends": []}},
        "b": {"uses": "chain"},
    }
    places = {path: document.origins[f"tasks.a.{path}"] for path in ("uses", "path", "format.prompt", "format.ends")}
    assert {path: place.rpartition("/")[2] for path, place in places.items()} == {
        "uses": "one.yaml:1",
        "path": "recipe.yaml:3",
        "format.prompt": "two.yaml:3",
        "format.ends": "--set",
    }


def test_a_recipe_that_is_included_keeps_its_named_tasks(tmp_path: Path) -> None:
    write(tmp_path, "task: {uses: jsonl, path: a}\n", "one.yaml")
    write(tmp_path, "tasks: {a: {include: [one.yaml]}}\n", "many.yaml")
    recipe = write(tmp_path, "name: x\ninclude: [many.yaml]\ntasks: {a: {path: b}}\n")
    assert value(recipe)["tasks"] == {"a": {"uses": "jsonl", "path": "b"}}


@pytest.mark.parametrize(
    ("included", "tasks", "message"),
    [
        (
            "task: {a: 1}\nmodel: {b: 1}\n",
            "{a: {include: [one.yaml]}}",
            "tasks.a.include: expected a file that has `task` alone, such as those in configs/tasks; one.yaml has "
            "'task', 'model'.",
        ),
        ("name: x\n", "{a: {include: [one.yaml]}}", "in configs/tasks; one.yaml has 'name'."),
        ("task: {a: 1}\n", "{a: {include: one.yaml}}", "tasks.a.include: expected a list of files, got 'one.yaml'."),
        ("task: {a: 1}\n", "{a: {include: [two.yaml]}}", "include: there is no file 'two.yaml'"),
    ],
)
def test_what_a_named_task_cannot_include(tmp_path: Path, included: str, tasks: str, message: str) -> None:
    write(tmp_path, included, "one.yaml")
    recipe = write(tmp_path, f"name: x\ntasks: {tasks}\n")
    with pytest.raises(RecipeError) as caught:
        load_document(recipe)
    assert re.match(r".*yaml:2: ", str(caught.value)) and message in str(caught.value)
