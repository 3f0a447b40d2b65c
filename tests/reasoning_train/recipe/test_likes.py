"""`like`: stages that differ from another in what they write, where that stands, and wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from reasoning_train.api.refs import Ref
from reasoning_train.recipe.errors import RecipeError
from tests.reasoning_train.recipe.kitchen import RECIPE, keys, load
from tests.reasoning_train.recipe.test_rounds import ROUNDS

UNTIL = RECIPE.replace('"${stages.sample}"}', '"${stages.sample}", rate: 0.5, until: {greedy: 0.1}}')


def with_stages(*stages: str, text: str = UNTIL) -> str:
    return text + "".join(f"      {stage}\n" for stage in stages)


def test_it_has_every_field_but_those_that_it_writes(tmp_path: Path) -> None:
    more = with_stages("more: {like: tuned, data: '${task.train}', until: {problems: '${task.dev}'}}")
    nodes = load(tmp_path, more).nodes
    assert nodes["more"].config == {
        **nodes["tuned"].config,
        "data": Ref("task.train"),
        "until": {"greedy": 0.1, "problems": Ref("task.dev")},
    }


def test_it_is_the_stage_written_out(tmp_path: Path) -> None:
    found = keys(load(tmp_path, with_stages("more: {like: tuned}", "again: {like: more, rate: 0.5}")))
    assert found["more"] == found["again"] == found["tuned"]


def test_changes_to_the_other_reach_it(tmp_path: Path) -> None:
    plan = load(tmp_path, with_stages("more: {like: tuned}"), "stages.tuned.rate=0.25")
    assert plan.nodes["more"].config["rate"] == 0.25
    assert plan.resolved["stages"]["more"]["rate"] == 0.25, "`plan --resolved` shows the stage written out"
    assert plan.origins["stages.more.rate"] == "--set"
    assert "like" not in plan.resolved["stages"]["more"]


def test_what_uses_something_else_replaces_the_whole(tmp_path: Path) -> None:
    said = "more: {like: tuned, uses: k_sample}"
    with pytest.raises(RecipeError, match=r"recipe\.yaml:9: stages\.more\.problems: 'problems' of stage type"):
        load(tmp_path, RECIPE.replace("claim: {uses: k_claim", f"{said}\n      claim: {{uses: k_claim"))


def test_in_rounds_the_stages_of_the_round_come_first(tmp_path: Path) -> None:
    more = "          other: {like: tuned, steps: 3}\n          copy: {like: base}\n"
    text = ROUNDS.replace("          dev:", f"{more}          dev:")
    nodes = load(tmp_path, text).nodes
    assert nodes["rounds.grow.2.other"].config == {**nodes["rounds.grow.2.tuned"].config, "steps": 3}
    assert nodes["rounds.grow.2.copy"].config == nodes["base"].config


def test_errors_stand_where_the_value_is_written(tmp_path: Path) -> None:
    text = with_stages("more: {like: tuned, steps: 3}", text=UNTIL.replace("rate: 0.5", "rate: x"))
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, text)
    lines = [line.partition("recipe.yaml:")[2] for line in str(caught.value).splitlines()]
    assert lines == [
        "7: stages.tuned.rate: expected a number, got 'x'.",
        "7: stages.more.rate: expected a number, got 'x'.",
    ]


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        (["more: {like: tund}"], "recipe.yaml:10: stages.more.like: there is no stage 'tund'. Did you mean 'tuned'?"),
        (["more: {like: 3}"], "stages.more.like: there is no stage 3."),
        (["a: {like: b}", "b: {like: a}"], "stages.b.like: `like` forms a circle of stages: a -> b -> a."),
        (["a: {like: a}"], "stages.a.like: `like` forms a circle of stages: a -> a."),
    ],
)
def test_wrong_likes(tmp_path: Path, stages: list[str], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, with_stages(*stages))
    assert message in str(caught.value)
