"""Grids: names of nodes, references by value, all settings at once, groups, and wrong grids."""

from __future__ import annotations

from pathlib import Path

import pytest

from reasoning_train.api.refs import Ref
from reasoning_train.recipe.errors import RecipeError
from tests.reasoning_train.recipe.kitchen import RECIPE, keys, load

GRID = RECIPE.replace('data: "${stages.sample}"}', 'data: "${stages.sample}", grid: {rate: [0.1, 1e-5], steps: [3]}}')
GRID = GRID.replace("k_evaluate, policies: {base:", "k_evaluate, policies: {start:")

GROUP = """
    name: group
    model: {init: {}, tokenizer: task}
    task: {uses: k_task}
    stages:
      base: {uses: k_train, policy: "${model}", data: "${task.train.gold}"}
      eval: {uses: k_evaluate, policies: {best: "${grids.tune.best}", one: "${grids.tune.tuned[n=8]}",
        all: "${grids.tune.tuned}"}, problems: "${task.test}"}
    grids:
      tune:
        over: {n: [4, 8]}
        stages:
          sample: {uses: k_sample, policy: "${stages.base}", problems: "${task.train}", n: "${grid.n}"}
          tuned: {uses: k_train, policy: "${stages.base}", data: "${stages.sample}", label: "with ${grid.n}"}
          dev: {uses: k_evaluate, policies: {tuned: "${stages.tuned}"}, problems: "${task.dev}"}
        choose: {policy: tuned, table: "${stages.dev}"}
"""


def test_a_node_for_every_setting(tmp_path: Path) -> None:
    nodes = load(tmp_path, GRID).nodes
    tuned = [name for name in nodes if name.startswith("tuned")]
    assert tuned == ["tuned.rate=0.1,steps=3", "tuned.rate=1e-05,steps=3"]
    assert [nodes[name].config["rate"] for name in tuned] == [0.1, 1e-5]
    assert [nodes[name].config["steps"] for name in tuned] == [3, 3]
    assert nodes[tuned[0]].seed == nodes[tuned[1]].seed == 0
    assert "grid" not in nodes[tuned[0]].config


def test_a_setting_is_the_stage_written_out(tmp_path: Path) -> None:
    alone = RECIPE.replace('data: "${stages.sample}"}', 'data: "${stages.sample}", rate: 1e-5, steps: 3}')
    assert keys(load(tmp_path, GRID))["tuned.rate=1e-05,steps=3"] == keys(load(tmp_path, alone))["tuned"]


@pytest.mark.parametrize(
    ("reference", "policies"),
    [
        ("${stages.tuned[rate=0.1]}", {"new": Ref("tuned.rate=0.1,steps=3")}),
        ("${stages.tuned[rate=1e-5]}", {"new": Ref("tuned.rate=1e-05,steps=3")}),
        ("${stages.tuned[steps=3, rate=0.00001].model}", {"new": Ref("tuned.rate=1e-05,steps=3", "model")}),
        (
            "${stages.tuned}",
            {f"new[rate={rate},steps=3]": Ref(f"tuned.rate={rate},steps=3") for rate in ("0.1", "1e-05")},
        ),
        (
            "${stages.tuned[steps=3].log}",
            {f"new[rate={rate},steps=3]": Ref(f"tuned.rate={rate},steps=3", "log") for rate in ("0.1", "1e-05")},
        ),
    ],
)
def test_references(tmp_path: Path, reference: str, policies: dict[str, Ref]) -> None:
    if "log" in reference:
        with pytest.raises(RecipeError, match=r"expected model, but 'tuned\.rate=0\.1,steps=3\.log'"):
            load(tmp_path, GRID, f"stages.eval.policies={{new: '{reference}'}}")
        return
    found = load(tmp_path, GRID, f"stages.eval.policies={{new: '{reference}'}}").nodes["eval"].config["policies"]
    assert found == policies


def test_alone_and_in_lists(tmp_path: Path) -> None:
    sets = ("stages.eval.policies='${stages.tuned}'", "stages.claim.tables=['${stages.tuned.log}', '${stages.eval}']")
    nodes = load(tmp_path, GRID, *sets).nodes
    both = ("rate=0.1,steps=3", "rate=1e-05,steps=3")
    assert nodes["eval"].config["policies"] == {f"tuned[{one}]": Ref(f"tuned.{one}") for one in both}
    assert nodes["claim"].config["tables"] == [*(Ref(f"tuned.{one}", "log") for one in both), Ref("eval")]


def test_fields_inside_fields_and_named_values(tmp_path: Path) -> None:
    grid = "{until.greedy: [0.1, 0.9], data: {gold: '${task.train.gold}', drawn: '${stages.sample}'}}"
    nodes = load(tmp_path, GRID, f"stages.tuned.grid={grid}", "stages.eval.policies={a: '${stages.base}'}").nodes
    one = nodes["tuned.until.greedy=0.9,data=drawn"].config
    assert one["until"] == {"greedy": 0.9, "problems": None}
    assert one["data"] == Ref("sample")
    assert len([name for name in nodes if name.startswith("tuned.")]) == 4


def test_with_seeds(tmp_path: Path) -> None:
    nodes = load(tmp_path, GRID, "seeds=[0, 1]").nodes
    assert nodes["eval@1"].config["policies"]["tuned[rate=0.1,steps=3]"] == Ref("tuned.rate=0.1,steps=3@1")


def test_choose_takes_one_of_all(tmp_path: Path) -> None:
    more = (
        '      dev: {uses: k_evaluate, policies: "${stages.tuned}", problems: "${task.dev}"}\n'
        '      best: {uses: choose, policies: "${stages.tuned}", table: "${stages.dev}"}\n'
    )
    nodes = load(tmp_path, GRID + more, "stages.eval.policies={best: '${stages.best}'}").nodes
    assert list(nodes["best"].config["policies"]) == ["tuned[rate=0.1,steps=3]", "tuned[rate=1e-05,steps=3]"]


def test_in_rounds(tmp_path: Path) -> None:
    text = """
    name: both
    model: {init: {}, tokenizer: task}
    task: {uses: k_task}
    stages:
      base: {uses: k_train, policy: "${model}", data: "${task.train.gold}"}
    rounds:
      grow:
        max: 2
        policy: picked
        start: {picked: "${stages.base}"}
        stages:
          tuned: {uses: k_train, policy: "${previous.picked}", data: "${task.train}", grid: {rate: [0.1, 0.2]}}
          dev: {uses: k_evaluate, policies: "${stages.tuned}", problems: "${task.dev}"}
          picked: {uses: choose, policies: "${stages.tuned}", table: "${stages.dev}"}
          again: {uses: k_train, policy: "${stages.tuned[rate=0.2]}", data: "${task.train}"}
    """
    nodes = load(tmp_path, text).nodes
    assert nodes["rounds.grow.2.tuned.rate=0.1"].config["policy"] == Ref("rounds.grow.1.picked")
    assert nodes["rounds.grow.2.again"].config["policy"] == Ref("rounds.grow.2.tuned.rate=0.2")


def test_groups(tmp_path: Path) -> None:
    nodes = load(tmp_path, GROUP).nodes
    assert nodes["grids.tune.n=8.tuned"].config["data"] == Ref("grids.tune.n=8.sample")
    assert nodes["grids.tune.n=4.tuned"].config["label"] == "with 4"
    assert nodes["eval"].config["policies"] == {
        "best": Ref("grids.tune.best"),
        "one": Ref("grids.tune.n=8.tuned"),
        "all[n=4]": Ref("grids.tune.n=4.tuned"),
        "all[n=8]": Ref("grids.tune.n=8.tuned"),
    }
    assert nodes["grids.tune.best"].config["policies"] == {f"n={n}": Ref(f"grids.tune.n={n}.tuned") for n in (4, 8)}
    assert nodes["grids.tune.best"].config["table"] == {f"n={n}": Ref(f"grids.tune.n={n}.dev") for n in (4, 8)}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("stages.tuned.grid={rate: 0.1}", "stages.tuned.grid.rate: expected a list"),
        ("stages.tuned.grid={rate: []}", "stages.tuned.grid.rate: expected a list of values or a map"),
        ("stages.tuned.grid={rate: [1, 1]}", "stages.tuned.grid.rate.1: 1 is given twice."),
        (
            "stages.tuned.grid={data: ['${stages.base}']}",
            "stages.tuned.grid.data.0: '${stages.base}' has no short name; give it one: `data: {NAME: VALUE, ...}`.",
        ),
        (
            "stages.tuned.grid={rte: [1]}",
            "tuned.rte=1.rte: unknown key 'rte' of stage type 'k_train'. Did you mean 'rate'?",
        ),
        ("stages.tuned.grid={rate: [x]}", "tuned.rate=x.rate: expected a number, got 'x'."),
        (
            "stages.claim.tables=['${stages.tuned[rate=7].log}']",
            "'tuned' has no [rate=7]; its grid has rate=0.1,steps=3; ",
        ),
        (
            "stages.claim.tables=['${stages.tuned[rte=7].log}']",
            "[rte=7] is not a setting of the grid of 'tuned'; write [rate=0.1",
        ),
        ("stages.claim.tables=['${stages.sample[n=4]}']", "stage 'sample' has no grid, so there is no [n=4]"),
        (
            "stages.sample.policy='${stages.tuned}'",
            "expected one stage, but 'tuned' has a grid of 2; name one, such as",
        ),
        (
            "stages.sample.n='${stages.tuned.rate}'",
            "'tuned' has a grid; name one of its settings, such as [rate=0.1",
        ),
        ("stages.sample.text='${grid.n}'", "${grid} can be used only inside `grids`"),
        ("stages.sample.policy='${grids.tune.best}'", "there is no grids.tune"),
    ],
)
def test_wrong_grids(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, GRID, override)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("grids.tune.choose=null", "${grids.tune.best} needs `choose:` in grids.tune: which policy, table and metric"),
        (
            "grids.tune.choose.policy=tund",
            "grids.tune.choose.policy: the grid has no stage 'tund'. Did you mean 'tuned'?",
        ),
        ("grids.tune.choose.table=dev", "grids.tune.choose.table: the grid has no stage ''"),
        ("grids.tune.stages.sample.n='${grid.m}'", "grids.tune has no parameter 'm'"),
        ("stages.eval.policies.one='${grids.tune.tund}'", "grids.tune has no stage 'tund'. Did you mean 'tuned'?"),
        ("grids.tune.over={n: [[1]]}", "grids.tune.over.n.0: [1] has no short name"),
    ],
)
def test_wrong_groups(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, GROUP, override)
    assert message in str(caught.value)


def test_a_stage_reads_a_parameter_where_it_is_no_field_of_its_own(tmp_path: Path) -> None:
    """Inside lists and texts, with its type; a parameter that is read is no field."""
    text = GRID.replace(
        "grid: {rate: [0.1, 1e-5], steps: [3]}", 'label: "k ${grid.k}", steps: "${grid.k}", grid: {k: [1, 2]}'
    )
    nodes = load(tmp_path, text).nodes
    assert [(nodes[f"tuned.k={k}"].config["label"], nodes[f"tuned.k={k}"].config["steps"]) for k in (1, 2)] == [
        ("k 1", 1),
        ("k 2", 2),
    ]
