"""Rounds: unrolled nodes, what `previous`, `init`, `best` and `last` mean, gates, the stop rule, and wrong groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from reasoning_train.api.refs import Ref
from reasoning_train.recipe.errors import RecipeError
from reasoning_train.stages.round_stop import decide
from tests.reasoning_train.recipe.kitchen import keys, load

ROUNDS = """
    name: rounds
    model: {init: {}, tokenizer: task}
    task: {uses: k_task}
    stages:
      base: {uses: k_train, policy: "${model}", data: "${task.train.gold}"}
      base_dev: {uses: k_evaluate, policies: {base: "${stages.base}"}, problems: "${task.dev}"}
      eval: {uses: k_evaluate, policies: {best: "${rounds.grow.best}", last: "${rounds.grow.last}"},
        problems: "${task.test}"}
    rounds:
      grow:
        max: 3
        policy: tuned
        start: {tuned: "${stages.base}"}
        stages:
          sample: {uses: k_sample, policy: "${previous.tuned}", problems: "${task.train}", seed: "${round}"}
          tuned: {uses: k_train, policy: "${init}", data: "${stages.sample}"}
          dev: {uses: k_evaluate, policies: {tuned: "${stages.tuned}"}, problems: "${task.dev}"}
        stop: {table: "${stages.dev}", metric: accuracy, min_gain: 0.01}
"""


def test_unrolled(tmp_path: Path) -> None:
    nodes = load(tmp_path, ROUNDS).nodes
    assert nodes["rounds.grow.1.sample"].config["policy"] == Ref("base")
    assert nodes["rounds.grow.2.sample"].config["policy"] == Ref("rounds.grow.1.tuned")
    assert nodes["rounds.grow.2.tuned"].config == {
        **nodes["rounds.grow.1.tuned"].config,
        "policy": Ref("rounds.grow.1.tuned"),
        "data": Ref("rounds.grow.2.sample"),
    }
    assert [nodes[f"rounds.grow.{k}.sample"].seed for k in (1, 2, 3)] == [1, 2, 3]
    assert nodes["eval"].config["policies"] == {"best": Ref("rounds.grow.best"), "last": Ref("rounds.grow.3.tuned")}
    assert nodes["rounds.grow.2.sample"].origin.endswith("recipe.yaml:15")


def test_stop_and_best(tmp_path: Path) -> None:
    nodes = load(tmp_path, ROUNDS).nodes
    assert nodes["rounds.grow.2.stop"].config == {
        "tables": [Ref("rounds.grow.1.dev"), Ref("rounds.grow.2.dev")],
        "first": 1,
        "metric": "accuracy",
        "row": None,
        "lower": False,
        "min_gain": 0.01,
    }
    assert nodes["rounds.grow.best"].uses == "choose"
    assert nodes["rounds.grow.best"].config == {
        "policies": {f"round {k}": Ref(f"rounds.grow.{k}.tuned") for k in (1, 2, 3)},
        "table": {f"round {k}": Ref(f"rounds.grow.{k}.dev") for k in (1, 2, 3)},
        "metric": "accuracy",
        "row": None,
        "lower": False,
        "uneven": None,
    }


def test_choose_without_stop_runs_all_rounds(tmp_path: Path) -> None:
    sets = ("rounds.grow.stop=null", "rounds.grow.choose={table: '${stages.dev}', metric: trace}")
    nodes = load(tmp_path, ROUNDS, *sets).nodes
    assert all(node.stop_gate is None and node.uses != "round_stop" for node in nodes.values())
    assert nodes["rounds.grow.best"].config["metric"] == "trace"
    assert nodes["rounds.grow.best"].inputs == tuple(
        f"rounds.grow.{k}.{it}" for it in ("tuned", "dev") for k in (1, 2, 3)
    )


def test_choose_beside_stop_has_a_rule_of_its_own(tmp_path: Path) -> None:
    nodes = load(tmp_path, ROUNDS, "rounds.grow.choose={table: '${stages.dev}', metric: trace}").nodes
    assert nodes["rounds.grow.3.stop"].config["metric"] == "accuracy"
    assert nodes["rounds.grow.best"].config["metric"] == "trace"


def test_the_start_counts_as_round_0_where_it_was_evaluated(tmp_path: Path) -> None:
    nodes = load(tmp_path, ROUNDS, "rounds.grow.start.dev='${stages.base_dev}'").nodes
    assert nodes["rounds.grow.1.stop"].config["tables"] == [Ref("base_dev"), Ref("rounds.grow.1.dev")]
    assert nodes["rounds.grow.1.stop"].config["first"] == 0
    assert nodes["rounds.grow.best"].config["policies"]["start"] == Ref("base")
    assert nodes["rounds.grow.best"].config["table"]["start"] == Ref("base_dev")
    assert list(nodes["rounds.grow.best"].config["policies"])[:2] == ["start", "round 1"]


def test_gates(tmp_path: Path) -> None:
    nodes = load(tmp_path, ROUNDS).nodes
    assert {
        (nodes[f"rounds.grow.1.{stage}"].stop_gate, nodes[f"rounds.grow.1.{stage}"].previous)
        for stage in ("sample", "tuned", "dev", "stop")
    } == {(None, None)}
    for stage in ("sample", "tuned", "dev", "stop"):
        assert nodes[f"rounds.grow.3.{stage}"].stop_gate == "rounds.grow.2.stop"
        assert nodes[f"rounds.grow.3.{stage}"].previous == f"rounds.grow.2.{stage}"


def test_gates_come_first_and_count_in_keys(tmp_path: Path) -> None:
    before, after = load(tmp_path, ROUNDS), load(tmp_path, ROUNDS, "rounds.grow.stop.min_gain=0.02")
    seen: list[str] = []
    for name, node in before.nodes.items():
        assert {need for need in (node.stop_gate, node.previous) if need} <= set(seen)
        seen.append(name)
    changed = {name for name, key in keys(after).items() if before.nodes[name].key != key}
    assert changed == {name for name in before.nodes if name.startswith(("rounds.grow.2", "rounds.grow.3"))} | {
        *("rounds.grow.1.stop", "rounds.grow.best", "eval")
    }


def test_without_a_stop_rule_all_rounds_run(tmp_path: Path) -> None:
    nodes = load(
        tmp_path, ROUNDS, "rounds.grow.stop=null", "stages.eval.policies.best='${rounds.grow.2.tuned.model}'"
    ).nodes
    assert all(node.stop_gate is None for node in nodes.values())
    assert not any(node.uses == "round_stop" for node in nodes.values())
    assert nodes["eval"].config["policies"]["best"] == Ref("rounds.grow.2.tuned", "model")


def test_init_from_base(tmp_path: Path) -> None:
    nodes = load(tmp_path, ROUNDS, "rounds.grow.init_from=base").nodes
    assert [nodes[f"rounds.grow.{k}.tuned"].config["policy"] for k in (1, 2, 3)] == [Ref("base")] * 3


def test_parts_of_the_last_round_and_plain_values(tmp_path: Path) -> None:
    sets = (
        "stages.more={uses: k_train, policy: '${rounds.grow.last}', data: '${rounds.grow.last.sample.data}', steps: "
        "'${rounds.grow.max}'}",
    )
    config = (
        load(tmp_path, ROUNDS.replace("      eval:", "      more: {uses: k_train}\n      eval:"), *sets)
        .nodes["more"]
        .config
    )
    assert config["data"] == Ref("rounds.grow.3.sample", "data")
    assert config["steps"] == 3


def test_seeds_and_rounds(tmp_path: Path) -> None:
    nodes = load(tmp_path, ROUNDS, "seeds=[0, 1]").nodes
    assert nodes["rounds.grow.2.tuned@1"].stop_gate == "rounds.grow.1.stop@1"
    assert nodes["rounds.grow.2.tuned@1"].previous == "rounds.grow.1.tuned@1"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("rounds.grow.max=0", "rounds.grow.max: expected greater than or equal to 1, got 0."),
        ("rounds.grow.policy=tund", "rounds.grow.policy: the round has no stage 'tund'. Did you mean 'tuned'?"),
        (
            "rounds.grow.start={tund: '${stages.base}'}",
            "rounds.grow.start.tund: the round has no stage 'tund'. Did you mean 'tuned'?",
        ),
        (
            "rounds.grow.start={}",
            "round 1 needs a start for 'tuned': add `start: {tuned: \"${stages.NAME}\"}` to rounds.grow.",
        ),
        (
            "rounds.grow.start={tuned: base}",
            "rounds.grow.start.tuned must be a reference such as ${stages.base}, got 'base'.",
        ),
        (
            "rounds.grow.stop.table=dev",
            "rounds.grow.stop.table: expected a stage of the round such as ${stages.dev}, got 'dev'.",
        ),
        (
            "rounds.grow.choose={table: '${stages.dve}'}",
            "rounds.grow.choose.table: the round has no stage 'dve'. Did you mean 'dev'?",
        ),
        (
            "rounds.grow.stages.dev.policies.also='${stages.base}'",
            "rounds.grow.stop.row: the table 'rounds.grow.1.dev' has several rows; name one of tuned, also.",
        ),
        (
            "rounds.grow.stop.row=tund",
            "rounds.grow.stop.row: the table 'rounds.grow.1.dev' has no row 'tund'. Did you mean 'tuned'?",
        ),
        (
            "rounds.grow.choose={table: '${stages.dev}', row: tund}",
            "rounds.grow.choose.row: the table 'rounds.grow.1.dev' has no row 'tund'. Did you mean 'tuned'?",
        ),
        (
            "rounds.grow.stop.table='${stages.dve}'",
            "rounds.grow.stop.table: the round has no stage 'dve'. Did you mean 'dev'?",
        ),
        (
            "rounds.grow.stop.table='${stages.tuned}'",
            "rounds.grow.stop.tables.1: expected table, but 'rounds.grow.1.tuned'",
        ),
        (
            "rounds.grow.stages.tuned.policy='${previous.sampel}'",
            "rounds.grow has no stage 'sampel'. Did you mean 'sample'?",
        ),
        ("rounds.grow.stages.tuned.policy='${stages.bse}'", "there is no stage 'bse'. Did you mean 'base'?"),
        ("rounds.grow.init_from=best", "rounds.grow.init_from: expected 'base' or 'previous', got 'best'."),
        ("rounds.grow.stop.metric=acuracy", "rounds.grow.stop.metric: there is no metric 'acuracy'. Did you mean"),
        ("rounds.grow.stop=null", "${rounds.grow.best} needs `choose:` or `stop:` in rounds.grow"),
        (
            "stages.eval.policies.best='${rounds.grow.best.model}'",
            "${rounds.grow.best} is the best round's policy alone",
        ),
        ("stages.eval.policies.best='${rounds.grow.4.tuned}'", "rounds.grow has rounds 1 to 3, but no round 4."),
        (
            "stages.eval.policies.best='${rounds.grow.last.tund}'",
            "rounds.grow has no stage 'tund'. Did you mean 'tuned'?",
        ),
    ],
)
def test_wrong_groups(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, ROUNDS, override)
    assert message in str(caught.value)


def test_reserved_names(tmp_path: Path) -> None:
    with pytest.raises(
        RecipeError, match=r"rounds\.grow\.stages\.stop: 'stop' is made by the rounds themselves; rename the stage"
    ):
        load(tmp_path, ROUNDS.replace("dev: {uses", "stop: {uses"))


@pytest.mark.parametrize(
    ("values", "min_gain", "stop"),
    [
        ([0.5], 0.0, False),
        ([0.5, 0.6], 0.0, False),
        ([0.5, 0.5], 0.0, True),
        ([0.5, 0.4], 0.0, True),
        ([0.5, 0.505], 0.01, True),
        ([0.5, 0.6, 0.55], 0.0, True),
        ([0.5, 0.4, 0.7], 0.0, False),
    ],
)
def test_decide(values: list[float], min_gain: float, stop: bool) -> None:
    assert decide(values, min_gain) == stop
    assert decide([-value for value in values], min_gain, lower=True) == stop
