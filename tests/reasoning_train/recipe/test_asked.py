"""What enters a key: fields that differ from their defaults, versions of pieces, and nothing else, for every config."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import BaseModel, Field, create_model
from pydantic.fields import FieldInfo

from data_gen.format import TaskFormat
from data_gen.graders.auto import Auto
from data_gen.measures.steps import Steps
from data_gen.registry import Part, Piece, Unkeyed
from data_gen.search.algorithms.mcts import Mcts
from data_gen.search.algorithms.uct import Uct
from data_gen.search.select import Puct
from data_gen.search.votes.majority import Majority
from data_gen.tasks import TASKS
from data_gen.tasks.chain import Chain
from reasoning_train.api.checkout import CHECKOUT
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import STAGES
from reasoning_train.recipe.asked import asked, pieces
from reasoning_train.recipe.load import load_plan
from tests.known_answers.pieces import models_in
from tests.reasoning_train.recipe.kitchen import RECIPE, load

STEP_DPO = CHECKOUT / "recipes" / "step_dpo" / "tiny.yaml"


class Left(Piece):
    """One of two."""

    uses: Literal["left"] = "left"
    n: int = 1
    micro: Annotated[int, Unkeyed()] = 8


class Right(Piece):
    """The other, in its second version."""

    version: ClassVar[int] = 2
    uses: Literal["right"] = "right"


Side = Annotated[Left | Right, Field(discriminator="uses")]


class Whole(BaseModel):
    """Something of every kind."""

    name: str
    side: Side = Left(n=5)
    sides: list[Side] = []
    by_name: dict[str, Side] = {}
    shape: tuple[int, ...] = (1, 2)
    flag: bool | int = 1
    none: Left | None = None
    made: list[int] = Field(default_factory=lambda: [3])
    path: Path = Path("a")
    rate: float = 1
    ref: Ref | None = None
    quiet: Annotated[Side, Unkeyed()] = Right()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({}, {}),
        ({"side": {"uses": "left", "n": 5}, "shape": [1, 2], "made": [3], "path": "a", "rate": 1.0, "none": None}, {}),
        ({"side": {"uses": "left", "n": 5, "micro": 1}, "flag": 1, "ref": None, "sides": [], "by_name": {}}, {}),
        ({"side": {"uses": "left"}}, {"side": {"uses": "left"}}),
        ({"side": {"uses": "left", "n": 2, "micro": 1}}, {"side": {"uses": "left", "n": 2}}),
        ({"side": {"uses": "right"}}, {"side": {"uses": "right"}}),
        ({"sides": [{"uses": "left", "n": 1}]}, {"sides": [{"uses": "left"}]}),
        ({"by_name": {"a": {"uses": "left", "n": 2}}}, {"by_name": {"a": {"uses": "left", "n": 2}}}),
        ({"flag": True}, {"flag": True}),
        ({"none": {}}, {"none": {"uses": "left"}}),
        ({"made": []}, {"made": []}),
        ({"shape": [2, 1]}, {"shape": [2, 1]}),
        ({"path": "b"}, {"path": "/found/b"}),
        ({"ref": Ref("x")}, {"ref": Ref("x")}),
        ({"quiet": {"uses": "left"}}, {}),
    ],
)
def test_fields_at_their_defaults_are_left_out(written: dict[str, Any], expected: dict[str, Any]) -> None:
    made = Whole.model_validate({"name": "n", **written})
    assert asked(made, {Path("b"): "/found/b"}) == {"name": "n", **expected}


def test_versions_are_those_of_the_pieces_inside() -> None:
    made = Whole(name="n", sides=[Right(), Left()], by_name={"a": Right()})
    assert pieces(made) == {
        "side": ("left", 1),
        "sides.0": ("right", 2),
        "sides.1": ("left", 1),
        "by_name.a": ("right", 2),
    }


def _inside(model: type[BaseModel]) -> list[type[BaseModel]]:
    """The classes of its fields; a union of a registry stands in the annotation, its classes too."""
    return [inner for field in model.model_fields.values() for inner in models_in(field.annotation)]


def every_config() -> list[type[BaseModel]]:
    """All classes of which a recipe's stages and tasks may hold an instance, fields of fields included."""
    waiting: list[type[BaseModel]] = [STAGES.get(name).config for name in STAGES.names()]
    waiting += [TASKS.get(name) for name in TASKS.names()]
    found: dict[type[BaseModel], None] = {}
    while waiting:
        model = waiting.pop()
        if model not in found:
            found[model] = None
            waiting += _inside(model)
    return sorted(found, key=lambda model: (model.__module__, model.__name__))


CONFIGS = every_config()


def test_the_walk_reaches_parts_of_parts() -> None:
    names = {model.__name__ for model in CONFIGS}
    assert {"Optimising", "Expand", "TaskFormat", "HeadConfig", "OpenAIConfig", "Mcts", "Puct", "Chain", "Lora"} <= (
        names | {base.__name__ for model in CONFIGS for base in model.__mro__}
    )


@pytest.mark.parametrize(
    "model", [model for model in CONFIGS if not inspect.isabstract(model)], ids=lambda model: model.__name__
)
def test_a_new_field_with_a_default_is_no_part_of_any_config(model: type[BaseModel]) -> None:
    """Alone, and as a part of another config, at its default and beside other fields that are not."""
    newer = create_model(model.__name__, __base__=model, new_field=(list[str], ["new"]))
    required = {name: Ref("x") for name, field in model.model_fields.items() if field.is_required()}
    before, after = model.model_construct(**required), newer.model_construct(**required)
    assert asked(before) == asked(after)
    assert asked({"a": [before]}) == asked({"a": [after]})
    assert "new_field" in asked(newer.model_construct(**required, new_field=["other"]))


@pytest.fixture
def one_more_field_everywhere() -> Iterator[None]:
    for model in CONFIGS:
        model.__pydantic_fields__["new_field"] = FieldInfo(annotation=int, default=7)
    _rebuild()
    for model in CONFIGS:
        type.__setattr__(model, "new_field", 7)  # of instances made before, such as defaults
    yield
    for model in CONFIGS:
        type.__delattr__(model, "new_field")
        del model.__pydantic_fields__["new_field"]
    _rebuild()


def _rebuild() -> None:
    """Inner classes first: an outer one takes over their schemas."""
    done: set[type[BaseModel]] = set()

    def visit(model: type[BaseModel]) -> None:
        if model not in done:
            done.add(model)
            for inner in _inside(model):
                visit(inner)
            model.model_rebuild(force=True)

    for model in CONFIGS:
        visit(model)


@pytest.mark.parametrize("recipe", ["step_dpo/tiny.yaml", "mcts/tiny.yaml", "quickstart"])
def test_new_fields_change_no_key_of_a_recipe(recipe: str, request: pytest.FixtureRequest) -> None:
    path = CHECKOUT / "recipes" / ("rejection_sampling/tiny.yaml" if recipe == "quickstart" else recipe)
    before = {name: node.key for name, node in load_plan(path).nodes.items()}
    request.getfixturevalue("one_more_field_everywhere")
    after = load_plan(path).nodes
    assert after["model"].config["init"]["new_field"] == 7, "the fields are there"
    assert {name: node.key for name, node in after.items()} == before


AFTER_TREES = {"trees", "pairs", "known", "tuned", "whole", "known_whole", "tuned_whole", "eval", "claim"}


@pytest.mark.parametrize(
    ("piece", "changed"),
    [
        (Mcts, AFTER_TREES),
        (Puct, AFTER_TREES),
        (Chain, AFTER_TREES | {"task.train", "task.explore", "task.dev", "task.test", "task.train.gold", "base"}),
        (Majority, {"eval", "claim"}),
        (Uct, set()),
        (Right, set()),
    ],
)
def test_a_version_reaches_what_uses_the_piece_and_what_descends_from_it(
    piece: type[Part], changed: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = load_plan(STEP_DPO).nodes
    monkeypatch.setattr(piece, "version", piece.version + 1)
    after = load_plan(STEP_DPO).nodes
    assert {name for name in before if before[name].key != after[name].key} == changed


def test_a_stage_has_the_versions_of_what_it_always_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pieces(Whole(name="n"), (Majority,)) == {
        "side": ("left", 1),
        "always.majority": ("majority", Majority.version),
    }
    recipe = CHECKOUT / "recipes" / "orm" / "tiny.yaml"
    before = load_plan(recipe).nodes
    monkeypatch.setattr(Majority, "version", Majority.version + 1)
    after = load_plan(recipe).nodes
    changed = {name for name in before if before[name].key != after[name].key}
    assert {before[name].uses for name in changed} == {"evaluate_verifier", "claim"}


@pytest.mark.parametrize("column", ["task.measures=[steps]", "task.graders={strict: exact}"])
def test_a_column_of_the_tables_changes_evaluations_alone(column: str) -> None:
    """Neither problems nor samples nor models depend on what is measured beside the verdict."""
    before, after = load_plan(STEP_DPO).nodes, load_plan(STEP_DPO, [column]).nodes
    assert {name for name in before if before[name].key != after[name].key} == {"eval", "claim"}


def test_a_measures_version_reaches_evaluations_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    written = ["task.measures=[steps]"]
    before = load_plan(STEP_DPO, written).nodes
    monkeypatch.setattr(Steps, "version", Steps.version + 1)
    after = load_plan(STEP_DPO, written).nodes
    assert {name for name in before if before[name].key != after[name].key} == {"eval", "claim"}


def test_the_nodes_of_a_plan_say_what_was_asked(tmp_path: Path) -> None:
    node = load(tmp_path, RECIPE, "stages.sample.n=5").nodes["sample"]
    assert node.asked == {"policy": Ref("base"), "problems": Ref("task.train"), "n": 5}
    assert load(tmp_path).nodes["task.train"].pieces == {
        "task": ("k_task", 1),
        "task.format": ("TaskFormat", TaskFormat.version),
        "task.format.extract.0": ("mark", 1),
        "task.grader": ("auto", Auto.version),
    }
