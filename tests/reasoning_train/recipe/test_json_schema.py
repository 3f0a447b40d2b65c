"""The JSON Schema of recipes: current, valid, and of one mind with the loader on good and bad recipes."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import jsonschema
import pytest
from pydantic import BaseModel

from reasoning_train.recipe.json_schema import FILE, field_docs
from reasoning_train.recipe.load import recipe_json_schema
from reasoning_train.recipe.schema import Grid, Recipe, Resources, Rounds, Stage
from reasoning_train.recipe.yaml_core import parse_value
from tests.reasoning_train.recipe.kitchen import RECIPE, TrainConfig
from tests.reasoning_train.recipe.test_grids import GRID, GROUP
from tests.reasoning_train.recipe.test_rounds import ROUNDS


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return recipe_json_schema()


def errors(schema: dict[str, Any], recipe: str) -> list[str]:
    return [
        error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(parse_value(recipe, "recipe"))
    ]


def test_the_file_is_current() -> None:
    # A process of its own: the stages of other tests are not registered there.
    code = "from reasoning_train.recipe.json_schema import schema_text; print(schema_text(), end='')"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert FILE.read_text(encoding="utf-8") == made, "run: python -m reasoning_train.recipe.json_schema"


def test_it_is_a_schema(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)


LIKES = RECIPE + "      more: {like: tuned, rate: 0.1}\n"


@pytest.mark.parametrize("recipe", [RECIPE, ROUNDS, GRID, GROUP, LIKES, "include: [configs/tasks/chain.yaml]"])
def test_good_recipes_pass(schema: dict[str, Any], recipe: str) -> None:
    assert errors(schema, recipe) == []


@pytest.mark.parametrize(
    ("good", "bad", "message"),
    [
        ("k_sample,", "k_sample, nn: 1,", "Additional properties are not allowed ('nn' was unexpected)"),
        ("k_sample,", "k_sample, n: x,", "'x' is not valid under any of the given schemas"),
        ("uses: k_sample,", "uses: k_smaple,", "'k_smaple' is not one of"),
        ("uses: k_sample,", "", "'uses' is a required property"),
        ("uses: k_sample,", "like: 3,", "3 is not of type 'string'"),
        ("uses: k_task", "uses: k_task, stpes: 1", "Additional properties are not allowed ('stpes' was unexpected)"),
        ("name: kitchen", "nmae: kitchen", "Additional properties are not allowed ('nmae' was unexpected)"),
        ('policy: "${stages.base}", p', "policy: base, p", "'base' does not match"),
    ],
)
def test_bad_recipes_fail(schema: dict[str, Any], good: str, bad: str, message: str) -> None:
    assert good in RECIPE
    assert any(error.startswith(message) for error in errors(schema, RECIPE.replace(good, bad, 1)))


def test_every_stage_has_the_fields_that_all_stages_share(schema: dict[str, Any]) -> None:
    stages = [definition for name, definition in schema["$defs"].items() if name.startswith("stage:")]
    assert stages and all(definition["properties"].keys() >= Stage.model_fields.keys() for definition in stages)
    assert errors(schema, RECIPE.replace("k_sample,", "k_sample, allow_test: an upper bound,")) == []


def test_values_may_be_references(schema: dict[str, Any]) -> None:
    assert errors(schema, RECIPE.replace("k_sample,", 'k_sample, n: "${task.steps}",')) == []


def test_field_docs() -> None:
    assert field_docs(TrainConfig) == {"data": "What to train on."}


@pytest.mark.parametrize("model", [Recipe, Stage, Rounds, Grid, Resources], ids=lambda model: model.__name__)
def test_what_is_written_below_a_field_describes_it(schema: dict[str, Any], model: type[BaseModel]) -> None:
    name = {"Recipe": "", "Stage": "stage:k_sample"}.get(model.__name__, model.__name__)
    properties = (schema["$defs"][name] if name else schema)["properties"]
    told = {field: text for field, text in field_docs(model).items() if field != "uses"}  # in a stage's own it is fixed
    assert told and {field: properties[field]["description"] for field in told} == told
