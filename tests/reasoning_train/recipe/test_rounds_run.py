"""Rounds worked off by the real worker: the stop rule fires, later rounds pass through, `best` and `last` are right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reasoning_train.api.plan import Plan
from reasoning_train.api.refs import ModelRef
from reasoning_train.api.stage import Context, GateError, StageConfig, stage
from reasoning_train.store.rows import write_rows
from reasoning_train.store.store import Store
from reasoning_train.worker.run_node import run_node
from tests.reasoning_train.recipe.kitchen import load

PROBLEMS = 10


class SkillConfig(StageConfig):
    """A policy that solves some more of ten problems than the one before."""

    policy: ModelRef | None = None
    gains: list[int]
    round: int = 1


@stage("k_skill", version=1, outputs={"model": "model"}, heavy=False)
def skill(config: SkillConfig, ctx: Context) -> None:
    """Write the number of problems solved."""
    before = int((ctx.input(config.policy).path / "skill.txt").read_text()) if config.policy else 0
    (ctx.output("model") / "skill.txt").write_text(str(before + config.gains[config.round - 1]))


class ScoreConfig(StageConfig):
    """Policies to score."""

    policies: dict[str, ModelRef]


@stage("k_score", version=1, outputs={"table": "table"}, heavy=False)
def score(config: ScoreConfig, ctx: Context) -> None:
    """Rows as an evaluation writes them."""
    rows = []
    for name, ref in config.policies.items():
        solved = int((ctx.input(ref).path / "skill.txt").read_text())
        fixed = {
            "finish": "stop",
            "strategy": "greedy",
            "cut": 0.0,
            "tokens": 3,
            "steps_ok": None,
            "sampled_correct": [],
            "sampled_answers": [],
            "sampled_steps_ok": [],
        }
        rows += [
            {
                **fixed,
                "policy": name,
                "problem_id": f"p{i}",
                "verdict": verdict,
                "accuracy": float(verdict == "correct"),
            }
            for i, verdict in enumerate(["correct"] * solved + ["wrong"] * (PROBLEMS - solved))
        ]
    write_rows(ctx.output("table"), "table", rows)


RECIPE = """
    name: climb
    stages:
      base: {uses: k_skill, gains: [5]}
      base_dev: {uses: k_score, policies: {base: "${stages.base}"}}
      best: {uses: k_skill, policy: "${rounds.grow.best}", gains: [0]}
      last: {uses: k_skill, policy: "${rounds.grow.last}", gains: [0]}
    rounds:
      grow:
        max: 4
        policy: tuned
        start: {tuned: "${stages.base}"}
        stages:
          tuned: {uses: k_skill, policy: "${previous.tuned}", gains: [2, -1, 3, 0], round: "${round}"}
          dev: {uses: k_score, policies: {tuned: "${stages.tuned}"}}
        stop: {table: "${stages.dev}"}
"""


def work_off(plan: Plan, store: Store) -> dict[str, str]:
    """Run all nodes in order; how each ended."""
    return {name: run_node(plan, name, store, report=lambda event: None) for name in plan.nodes}


def solved(plan: Plan, store: Store, name: str) -> int:
    return int((store.open(plan.nodes[name]).path / "model" / "skill.txt").read_text())


def test_it_stops_passes_through_and_picks_the_best(tmp_path: Path) -> None:
    plan, store = load(tmp_path, RECIPE), Store(tmp_path / "store")
    outcomes = work_off(plan, store)
    passed = {name for name, outcome in outcomes.items() if outcome == "passed"}
    assert passed == {f"rounds.grow.{k}.{name}" for k in (3, 4) for name in ("tuned", "dev", "stop")}
    assert (solved(plan, store, "best"), solved(plan, store, "last")) == (7, 6)
    decision = store.open(plan.nodes["rounds.grow.4.stop"]).path / "decision" / "decision.json"
    assert json.loads(decision.read_text()) == {"stop": True, "values": {"1": 0.7, "2": 0.6}}
    assert set(work_off(plan, store).values()) == {"cached"}
    assert store.open(plan.nodes["rounds.grow.best"]).manifest["metrics"]["table"] == {
        "title": "chosen out of 2 by accuracy",
        "columns": ["candidate", "accuracy", ""],
        "rows": [
            ["round 1", "0.7", "chosen"],
            ["round 2", "0.6", ""],
            ["round 3", "0.6", "the same as round 2"],
            ["round 4", "0.6", "the same as round 2"],
        ],
    }


def test_all_rounds_run_and_the_best_is_chosen(tmp_path: Path) -> None:
    """After the fall in round 2 a stop rule would never see round 4. Of the equal rounds 3 and 4 the first is best."""
    sets = ("rounds.grow.stop=null", "rounds.grow.choose={table: '${stages.dev}'}")
    plan, store = load(tmp_path, RECIPE, *sets), Store(tmp_path / "store")
    assert set(work_off(plan, store).values()) == {"ran"}
    assert store.open(plan.nodes["rounds.grow.best"]).manifest["metrics"]["values"] == {
        f"round {k}": share for k, share in ((1, 0.7), (2, 0.6), (3, 0.9), (4, 0.9))
    }
    assert store.open(plan.nodes["rounds.grow.best"]).manifest["metrics"]["chosen"] == "round 3"
    assert solved(plan, store, "best") == 9


def test_it_goes_on_while_it_gains(tmp_path: Path) -> None:
    plan = load(tmp_path, RECIPE, "rounds.grow.stages.tuned.gains=[1, 1, 1, 1]")
    store = Store(tmp_path / "store")
    assert "passed" not in work_off(plan, store).values()
    assert (solved(plan, store, "best"), solved(plan, store, "last")) == (9, 9)


def test_the_start_may_be_best(tmp_path: Path) -> None:
    plan = load(
        tmp_path, RECIPE, "rounds.grow.stages.tuned.gains=[-1, 9, 9, 9]", "rounds.grow.start.dev='${stages.base_dev}'"
    )
    store = Store(tmp_path / "store")
    outcomes = work_off(plan, store)
    assert [outcomes[f"rounds.grow.{k}.tuned"] for k in (1, 2, 3, 4)] == ["ran", "passed", "passed", "passed"]
    assert (solved(plan, store, "best"), solved(plan, store, "last")) == (5, 4)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "rounds.grow.stop.metric=novelty",
            r"stop.metric: rounds.grow.1.dev has no metric 'novelty'; it has accuracy, cut, tokens.",
        ),
    ],
)
def test_a_rule_that_does_not_fit_the_table(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(GateError) as caught:
        work_off(load(tmp_path, RECIPE, override), Store(tmp_path / "store"))
    assert str(caught.value) == message


def test_the_row_of_a_table_with_several(tmp_path: Path) -> None:
    sets = ("rounds.grow.stages.dev.policies.also='${stages.base}'", "rounds.grow.stop.row=tuned")
    plan, store = load(tmp_path, RECIPE, *sets), Store(tmp_path / "store")
    work_off(plan, store)
    assert solved(plan, store, "best") == 7


def test_less_may_be_better(tmp_path: Path) -> None:
    sets = ("rounds.grow.stop=null", "rounds.grow.choose={table: '${stages.dev}', lower: true}")
    plan, store = load(tmp_path, RECIPE, *sets), Store(tmp_path / "store")
    work_off(plan, store)
    assert store.open(plan.nodes["rounds.grow.best"]).manifest["metrics"]["chosen"] == "round 2"
