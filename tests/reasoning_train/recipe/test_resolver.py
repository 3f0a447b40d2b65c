"""References: what each form becomes, and what a wrong one is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from reasoning_train.api.refs import Ref
from reasoning_train.recipe.errors import RecipeError
from reasoning_train.recipe.resolver.text import BadReference, expand
from tests.reasoning_train.recipe.kitchen import RECIPE, load

VALUES = {"n": 3, "name": "x", "yes": True, "none": None, "list": [1], "out": Ref("a")}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${n}", 3),
        ("${ n }", 3),
        ("${list}", [1]),
        ("${out}", Ref("a")),
        ("${n} of ${name}", "3 of x"),
        ("${yes}/${none}", "true/null"),
        ("$${n}", "${n}"),
        ("$${", "${"),
        ("a $${n} ${n}", "a ${n} 3"),
        ("$n {n} $", "$n {n} $"),
    ],
)
def test_expand(text: str, value: object) -> None:
    found = expand(text, VALUES.__getitem__)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${n", "'${n' is not a reference; write ${stages.NAME}, or $${ for the two characters themselves"),
        ("${}", "'${}' is not a reference"),
        ("${a b}", "'${a b}' is not a reference"),
        ("x ${out}", "${out} is an output of a stage and cannot be part of a text; it must stand alone"),
        ("x ${list}", "${list} is a list and cannot be part of a text"),
    ],
)
def test_expand_refuses(text: str, message: str) -> None:
    with pytest.raises(BadReference) as caught:
        expand(text, VALUES.__getitem__)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("reference", "ref", "node"),
    [
        ("${stages.tuned}", Ref("tuned"), "tuned"),
        ("${stages.tuned.model}", Ref("tuned", "model"), "tuned"),
        ("${model}", Ref("model"), "model"),
    ],
)
def test_model_references(tmp_path: Path, reference: str, ref: Ref, node: str) -> None:
    plan = load(tmp_path, RECIPE, f"stages.eval.policies.new='{reference}'")
    assert plan.nodes["eval"].config["policies"]["new"] == ref
    assert node in plan.nodes["eval"].inputs


def test_implicit_nodes(tmp_path: Path) -> None:
    plan = load(tmp_path)
    assert list(plan.nodes) == [
        "model",
        "task.train",
        "task.test",
        "task.train.gold",
        "base",
        "sample",
        "tuned",
        "eval",
        "claim",
    ]
    train = plan.nodes["task.train"].config
    assert (train["split"], train["task_name"]) == ("train", "")
    own = {"uses": "k_task", "steps": 3, "path": None, "open_text": False}
    assert {field: train["task"][field] for field in own} == own
    assert train["task"]["format"] == plan.nodes["model"].config["task_format"]
    assert plan.nodes["task.train.gold"].config == {"problems": Ref("task.train"), "steps": "required"}
    assert plan.nodes["model"].config["vocabulary"] == ["a", "b"]
    assert plan.nodes["base"].inputs == ("model", "task.train.gold")


def test_named_tasks(tmp_path: Path) -> None:
    plan = load(
        tmp_path,
        RECIPE + "    tasks: {other: {uses: k_task, steps: 9}}\n",
        "stages.eval.problems='${tasks.other.test}'",
    )
    assert plan.nodes["tasks.other.test"].config["task"]["steps"] == 9
    assert plan.nodes["eval"].inputs == ("base", "tuned", "tasks.other.test")


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ("${task.steps}", 3),
        ("${seed}", 7),
        ("${stages.sample.n}", 5),
        ("${model.init.layers}", 2),
        ("${stages.base.shape.1}", 4),
    ],
)
def test_plain_values_keep_their_type(tmp_path: Path, reference: str, value: int) -> None:
    sets = [
        "seed=7",
        "stages.sample.n=5",
        "model.init.layers=2",
        "stages.base.shape=[3, 4]",
        f"stages.tuned.steps='{reference}'",
    ]
    assert load(tmp_path, RECIPE, *sets).nodes["tuned"].config["steps"] == value


def test_values_may_refer_to_values(tmp_path: Path) -> None:
    plan = load(
        tmp_path,
        RECIPE,
        "stages.sample.n='${task.steps}'",
        "stages.tuned.steps='${stages.sample.n}'",
        "stages.tuned.label='${name}-${seed}'",
    )
    assert plan.nodes["tuned"].config["steps"] == 3
    assert plan.nodes["tuned"].config["label"] == "kitchen-0"


def test_escape(tmp_path: Path) -> None:
    assert load(tmp_path, RECIPE, "stages.tuned.label='$${stages.x}'").nodes["tuned"].config["label"] == "${stages.x}"


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (
            ["stages.tuned.policy='${stages.bsae}'"],
            "stages.tuned.policy: there is no stage 'bsae'. Did you mean 'base'?",
        ),
        (
            ["stages.tuned.policy='${stages.base.modl}'"],
            "stages.tuned.policy: stage 'base' has no output 'modl'. Did you mean 'model'?",
        ),
        (
            ["stages.tuned.policy='${stage.base}'"],
            "stages.tuned.policy: there is no 'stage' in the recipe. Did you mean 'stages'?",
        ),
        (
            ["stages.tuned.data='${task.trian}'"],
            "stages.tuned.data: task has neither a split nor a field 'trian'. Did you mean 'train'?",
        ),
        (
            ["stages.tuned.data='${task.files}'"],
            "stages.tuned.data: task has neither a split nor a field 'files'. Known: dev, format, grader, ",
        ),
        (
            ["stages.tuned.data='${task.train.gould}'"],
            "stages.tuned.data: the split task.train has only `.gold` beside its problems, no 'gould'.",
        ),
        (
            ["stages.tuned.data='${tasks.other.train}'"],
            "stages.tuned.data: ${tasks.other.train} needs `tasks.other:` in the recipe.",
        ),
        (["stages.tuned.steps='${model.init.lairs}'"], "stages.tuned.steps: model.init has no field 'lairs'."),
        (
            ["stages.tuned.policy='${previous.tuned}'"],
            "stages.tuned.policy: ${previous} can be used only inside `rounds`.",
        ),
        (["stages.tuned.policy='${rounds.grow.best}'"], "stages.tuned.policy: there is no rounds.grow."),
        (
            ["stages.tuned.label='x${stages.base}'"],
            "stages.tuned.label: ${stages.base} is an output of a stage and cannot be part of a text",
        ),
        (["stages.tuned.label='${stages'"], "stages.tuned.label: '${stages' is not a reference; write ${stages.NAME}"),
        (["task.steps='${stages.base}'"], "task.steps: takes a plain value, not an output of a stage (${base})."),
        (
            ["model=null"],
            "stages.base.policy: ${model} needs `model:` in the recipe, for example through `include: "
            "[configs/models/tiny.yaml]`.",
        ),
        (
            ["task.open_text=true"],
            "model.tokenizer: 'task' needs a task with a closed vocabulary; 'k_task' has open text.",
        ),
        (
            ["stages.sample.n='${stages.tuned.steps}'", "stages.tuned.steps='${stages.sample.n}'"],
            "stages.sample.n: values refer to each other in a circle: stages.tuned.steps -> stages.sample.n -> "
            "stages.tuned.steps.",
        ),
    ],
)
def test_wrong_references(tmp_path: Path, sets: list[str], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, RECIPE, *sets)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "field",
    ["sample.n='${round}'", "tuned.steps='${model.init.lairs}'", "sample.n='${stages.bsae}'", "sample.n='${n}'"],
)
def test_a_reference_that_cannot_be_resolved_is_told_once(tmp_path: Path, field: str) -> None:
    """Its place holds no number, which is no second mistake."""
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, RECIPE, f"stages.{field}")
    assert len(str(caught.value).splitlines()) == 1


def test_no_task(tmp_path: Path) -> None:
    with pytest.raises(
        RecipeError, match=r"recipe\.yaml:2: stages\.s\.data: \$\{task\.train\} needs `task:` in the recipe\."
    ):
        load(tmp_path, 'name: x\nstages: {s: {uses: k_train, data: "${task.train}"}}\n')
