"""Evaluated problems must not reach a stage that learns: every way to it is refused when the recipe loads, with the
path, unless the recipe gives a reason, which the nodes below then carry."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from reasoning_train.api.plan import Plan
from reasoning_train.recipe.errors import RecipeError
from reasoning_train.store.plan_json import plan_from_json, plan_to_json
from tests.reasoning_train.recipe.kitchen import load

RECIPE = """
    name: lineage
    include: [configs/models/tiny.yaml, configs/tasks/chain.yaml]
    TOP
    tasks:
      rows: {uses: jsonl, path: ROWS, split: {train: 4, dev: 2, test: 4}, format: "${task.format}"}
      again: {uses: jsonl, path: COPY, split: {all: null}, format: "${task.format}"}
      same: {uses: jsonl, path: COPY, split: {train: 4, dev: 2, test: 4}, format: "${task.format}"}
      turned: {uses: jsonl, path: ROWS, split: {train: 4, dev: 2}, seed: 1, format: "${task.format}"}
      turned_too: {uses: jsonl, path: COPY, split: {train: 4, test: 4}, seed: 2, format: "${task.format}"}
      parts: {uses: jsonl, paths: {train: OTHER, test: OTHER}, format: "${task.format}"}
      capital: {uses: jsonl, path: OTHER, split: {Test: null}, format: "${task.format}"}
    stages:
      base: {uses: sft, policy: "${model}", data: "${task.train.gold}", learning_rate: 1e-3, max_steps: 1}
      tuned: {uses: sft, policy: "${stages.base}", data: "${stages.kept}", learning_rate: 1e-3, max_steps: 1}
      sample: {uses: sample, policy: "${stages.base}", problems: "${SAMPLED_ON}", n: 2}
      kept: {uses: select, solutions: "${stages.sample}"}
      dev: {uses: evaluate, policies: {base: "${stages.base}", tuned: "${stages.tuned}"}, problems: "${task.dev}"}
      best: {uses: choose, policies: {base: "${stages.base}", tuned: "${stages.tuned}"}, table: "${stages.dev}"}
      eval: {uses: evaluate, policies: {base: "${stages.base}", tuned: "${stages.tuned}"}, problems: "${task.test}"}
      claim: {uses: claim, table: "${stages.eval}", form: {uses: difference, better: tuned, than: base}}
      half: {uses: part, problems: "${task.explore}", part: 1, of: 2}
      rest: {uses: part, problems: "${task.explore}", part: 2, of: 2}
      leak: {uses: sample, policy: "${stages.base}", problems: "${task.test}", n: 2}
      prm: {uses: train_verifier, policy: "${stages.base}", targets: "${stages.values}", learning_rate: 1e-3,
        max_steps: 1}
      values: {uses: value_targets, trees: "${stages.walk}", policy: "${stages.base}", targets: {uses: q}}
      walk: {uses: search, policy: "${stages.base}", problems: "${task.train}", gold: true,
        search: {uses: mcts, simulations: 4}, scorer: {uses: rollouts}}
      judged: {uses: search, policy: "${stages.base}", problems: "${task.test}", gold: true,
        search: {uses: mcts, simulations: 4}, scorer: {uses: rollouts}}
      MORE
"""
SHORT = {
    "SFT": 'uses: sft, policy: "${stages.base}", learning_rate: 1e-3, max_steps: 1',
    "TREES": 'trees: "${stages.judged}", policy: "${stages.base}"',
    "BOTH": '{base: "${stages.base}", tuned: "${stages.tuned}"}',
    "POLICY": '"${stages.base}"',
}
"""What most stages have in common, by the word that stands for it."""
GOLD = 'gold: {uses: gold, problems: "${stages.some}"}'
ON_GOLD = 'last: {SFT, data: "${stages.gold}"}'


def made(folder: Path, *stages: str, top: str = "", groups: str = "", sampled: str = "task.explore") -> Plan:
    rows, copy, other = folder / "rows.jsonl", folder / "copy.jsonl", folder / "other.jsonl"
    asked = [{"question": f"What is {i} + {i}?", "answer": 2 * i} for i in range(10)]
    rows.write_text("".join(json.dumps(row) + "\n" for row in asked), encoding="utf-8")
    shutil.copy(rows, copy)
    other.write_text('{"question": "Else?", "answer": 1}\n', encoding="utf-8")
    text = RECIPE.replace("TOP", top).replace("MORE", "\n      ".join(stages)) + groups
    text = text.replace("SAMPLED_ON", sampled)
    for word, meant in {**SHORT, "ROWS": str(rows), "COPY": str(copy), "OTHER": str(other)}.items():
        text = text.replace(word, meant)
    return load(folder, text)


def refusals(folder: Path, *stages: str, **more: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        made(folder, *stages, **more)
    return str(caught.value).splitlines()


def test_without_a_leak_the_recipe_loads(tmp_path: Path) -> None:
    plan = made(tmp_path)
    assert all(node.notes == () for node in plan.nodes.values())
    learned = {name: node.learned_from for name, node in plan.nodes.items() if node.learned_from}
    assert learned == {"dev": ("task.explore", "task.train"), "eval": ("task.explore", "task.train")}


@pytest.mark.parametrize(
    ("stages", "field", "message"),
    [
        # Every kind of stage that learns.
        (['last: {SFT, data: "${task.test.gold}"}'], "data", "trains on TEST: task.test -> task.test.gold -> last"),
        (['last: {SFT, data: "${stages.leak}"}'], "data", "trains on TEST: task.test -> leak -> last"),
        (['last: {SFT, data: [{solutions: "${stages.leak}"}, {solutions: "${stages.kept}"}]}'],
         "data", "trains on TEST: task.test -> leak -> last"),
        (['last: {SFT, data: "${stages.kept}", until: {problems: "${task.test}", accuracy: 0.5}}'],
         "until", "trains on TEST: task.test -> last"),
        (['last: {uses: grpo, policy: POLICY, problems: "${task.test}", learning_rate: 1e-3, max_steps: 1}'],
         "problems", "trains on TEST: task.test -> last"),
        (["last: {uses: step_pairs, TREES, pairs: {uses: best_sibling}}"],
         "trees", "makes training data of TEST: task.test -> judged -> last"),
        (["last: {uses: value_targets, TREES, targets: {uses: q}}"],
         "trees", "makes training data of TEST: task.test -> judged -> last"),
        (["last: {uses: sft_paths, TREES}"], "trees", "makes training data of TEST: task.test -> judged -> last"),
        (['last: {uses: soften, data: "${stages.leak}", policy: POLICY}'],
         "data", "makes training data of TEST: task.test -> leak -> last"),
        (['last: {uses: calibrate, verifier: "${stages.prm}", problems: "${task.test}", policy: POLICY, '
          'solutions: "${stages.leak}"}'], "problems", "is fitted to TEST: task.test -> last"),
        (['last: {uses: choose, policies: BOTH, table: "${stages.eval}"}'],
         "table", "chooses by TEST: task.test -> eval -> last"),
        # Ways on which rows are only passed on.
        (['sum: {uses: concat, sources: ["${stages.kept}", "${stages.leak}"]}', 'last: {SFT, data: "${stages.sum}"}'],
         "data", "trains on TEST: task.test -> leak -> sum -> last"),
        (['some: {uses: part, problems: "${task.test}", part: 1, of: 2}', GOLD, ON_GOLD],
         "data", "trains on TEST: task.test -> some -> gold -> last"),
        (['some: {uses: pick_problems, problems: "${task.test}", difficulty: [3, 4]}', GOLD, ON_GOLD],
         "data", "trains on TEST: task.test -> some -> gold -> last"),
        (['some: {uses: concat, sources: ["${task.train}", "${task.test}"]}', GOLD, ON_GOLD],
         "data", "trains on TEST: task.test -> some -> gold -> last"),
        # Problems that were picked by what a policy does on test problems.
        (['some: {uses: pick_problems, problems: "${task.train}", table: "${stages.eval}", row: base, outcome: wrong}',
          GOLD, ON_GOLD], "data", "trains on TEST: task.test -> eval -> some -> gold -> last"),
        (['few: {uses: select, solutions: "${stages.sample}", as_many_as: "${stages.leak}"}',
          'last: {SFT, data: "${stages.few}"}'], "data", "trains on TEST: task.test -> leak -> few -> last"),
        # The same rows under another name: a copy of the file, dealt otherwise or not at all.
        (['last: {SFT, data: "${tasks.again.all.gold}"}', 'other: {uses: sample, policy: POLICY, problems: '
          '"${tasks.rows.test}"}'], "data", "trains on problems of a source that is also the split tasks.rows.test: "
         "tasks.again.all -> tasks.again.all.gold -> last"),
        (['last: {SFT, data: "${tasks.turned.train.gold}"}'], "data",
         "trains on problems of a source that is also the split tasks.turned_too.test: tasks.turned.train -> "),
        # A file that is also the file of the test split of the task itself, which nothing reads.
        (['last: {SFT, data: "${tasks.parts.train.gold}"}'], "data",
         "trains on problems of a source that is also the split tasks.parts.test: tasks.parts.train -> "),
        (['last: {SFT, data: "${tasks.capital.Test.gold}"}'], "data",
         "trains on TEST: tasks.capital.Test -> tasks.capital.Test.gold -> last"),
        # Problems on which a claim is measured, whatever their split, and some of them.
        (["other: {uses: evaluate, policies: BOTH, problems: \"${task.dev}\"}",
          'claim_too: {uses: claim, table: "${stages.other}", form: {uses: difference, better: tuned, than: base}}',
          'some: {uses: part, problems: "${task.dev}", part: 1, of: 2}', GOLD, ON_GOLD], "data",
         "trains on problems on which a claim is measured (task.dev -> other -> claim_too): task.dev -> some -> gold"),
        (["other: {uses: evaluate, policies: BOTH, problems: \"${tasks.turned.dev}\"}",
          'claim_too: {uses: claim, table: "${stages.other}", form: {uses: difference, better: tuned, than: base}}',
          'last: {SFT, data: "${tasks.again.all.gold}"}'], "data", "trains on problems on which a claim is measured "
         "(tasks.turned.dev -> other -> claim_too): tasks.again.all -> tasks.again.all.gold -> last"),
        (["other: {uses: evaluate, policies: BOTH, problems: \"${task.dev}\"}",
          'claim_too: {uses: claim, table: "${stages.other}", form: {uses: difference, better: tuned, than: base}}',
          'last: {SFT, data: "${task.dev.gold}"}'], "data", "trains on problems on which a claim is measured "
         "(task.dev -> other -> claim_too): task.dev -> task.dev.gold -> last"),
    ],
)  # fmt: skip
def test_evaluated_problems_reach_no_stage_that_learns(
    tmp_path: Path, stages: list[str], field: str, message: str
) -> None:
    if "turned_too" in message:
        stages = [*stages, 'other: {uses: sample, policy: POLICY, problems: "${tasks.turned_too.train}"}']
    said = [line for line in refusals(tmp_path, *stages) if "stages.last" in line]
    assert f"stages.last.{field}: 'last' {message.replace('TEST', TEST_SPLIT)}" in said[0], said
    assert said[0].endswith("Use other problems, or say why it is right here: `allow_test: REASON`.")


TEST_SPLIT = "problems of the split 'test'"


def test_a_leak_is_told_once_and_not_again_by_what_comes_after(tmp_path: Path) -> None:
    after = 'after: {uses: sft, policy: "${stages.last}", data: "${stages.kept}", learning_rate: 1e-3, max_steps: 1}'
    assert len(refusals(tmp_path, 'last: {SFT, data: "${stages.leak}"}', after)) == 1


def test_another_part_of_claimed_problems_may_be_learned_from(tmp_path: Path) -> None:
    gold = 'gold: {uses: gold, problems: "${stages.half}"}'
    measured = 'both: {uses: evaluate, policies: {base: POLICY, last: "${stages.last}"}, problems: "${stages.rest}"}'
    claimed = 'half_claim: {uses: claim, table: "${stages.both}", form: {uses: difference, better: last, than: base}}'
    stages = [gold, ON_GOLD, measured, claimed]
    [said] = refusals(tmp_path, *stages)  # `tuned` is trained on all of explore
    assert "stages.tuned.data: 'tuned' trains on problems on which a claim is measured" in said
    assert "(task.explore -> rest -> both -> half_claim): task.explore -> sample -> kept -> tuned" in said
    plan = made(tmp_path, *stages, sampled="stages.half")
    assert plan.nodes["both"].learned_from == ("half", "task.train")


ROUNDS = """
    rounds:
      grow:
        max: 2
        policy: tuned
        start: {tuned: "${stages.base}"}
        stages:
          more: {uses: sample, policy: "${previous.tuned}", problems: "${task.SAMPLED}", n: 2}
          tuned: {uses: sft, policy: "${init}", data: "${stages.more}", learning_rate: 1e-3, max_steps: 1}
          check: {uses: evaluate, policies: {tuned: "${stages.tuned}"}, problems: "${task.CHECKED}"}
        RULE
"""
GRID = """
    grids:
      tune:
        over: {rate: [1e-3, 1e-4]}
        stages:
          tuned: {uses: sft, policy: "${stages.base}", data: "${task.train.gold}", learning_rate: "${grid.rate}",
            max_steps: 1}
          check: {uses: evaluate, policies: {tuned: "${stages.tuned}"}, problems: "${task.test}"}
        choose: {policy: tuned, table: "${stages.check}"}
"""
BEST = 'last: {uses: sft, policy: "${GROUP.best}", data: "${stages.kept}", learning_rate: 1e-3, max_steps: 1}'


def rounds(sampled: str, checked: str, rule: str) -> str:
    return ROUNDS.replace("SAMPLED", sampled).replace("CHECKED", checked).replace("RULE", rule)


def test_rounds_and_grids_are_followed(tmp_path: Path) -> None:
    rule = 'stop: {table: "${stages.check}"}'
    best = BEST.replace("GROUP", "rounds.grow")
    assert made(tmp_path, best, groups=rounds("explore", "dev", rule)).nodes
    said = refusals(tmp_path, best, groups=rounds("explore", "test", rule))
    for line, name in zip(said, ("1.stop", "2.stop", "best"), strict=True):
        assert f"'rounds.grow.{name}' chooses by {TEST_SPLIT}: task.test -> rounds.grow.1.check -> " in line
    for k, line in enumerate(refusals(tmp_path, groups=rounds("test", "dev", rule)), 1):
        assert f"'rounds.grow.{k}.tuned' trains on {TEST_SPLIT}: task.test -> rounds.grow.{k}.more -> " in line
    [in_grid] = refusals(tmp_path, BEST.replace("GROUP", "grids.tune"), groups=GRID)
    assert f"'grids.tune.best' chooses by {TEST_SPLIT}: task.test -> " in in_grid


def test_a_round_that_may_pass_on_an_earlier_one_has_learned_what_that_one_has(tmp_path: Path) -> None:
    """Round 2 trains anew on its own part, unless the rule stops after round 1."""
    group = rounds("explore", "dev", 'stop: {table: "${stages.check}"}')
    for old, new in (
        ("${previous.tuned}", "${stages.base}"),
        ("${init}", "${stages.base}"),
        ("${task.explore}", "${stages.fresh}"),
        ("stages:", 'stages:\n          fresh: {uses: part, problems: "${task.explore}", part: "${round}", of: 2}'),
    ):
        group = group.replace(old, new)
    after = 'after: {uses: evaluate, policies: {last: "${rounds.grow.last}"}, problems: "${task.test}"}'
    learned = made(tmp_path, after, groups=group).nodes["after"].learned_from
    assert {"rounds.grow.1.fresh", "rounds.grow.2.fresh"} <= set(learned)


def test_test_problems_may_be_measured_avoided_and_analysed(tmp_path: Path) -> None:
    clean = 'clean: {uses: decontaminate, problems: "${task.train}", against: ["${task.test}"], match: exact}'
    gold, last = GOLD.replace("some", "clean"), ON_GOLD
    hard = 'hard: {uses: pick_problems, problems: "${task.test}", table: "${stages.eval}", row: base, outcome: wrong}'
    again = 'again: {uses: evaluate, policies: {base: POLICY, last: "${stages.last}"}, problems: "${stages.hard}"}'
    plan = made(tmp_path, clean, gold, last, hard, again)
    assert plan.nodes["again"].learned_from == ("clean", "task.explore", "task.train")


def test_one_file_dealt_the_same_way_under_two_names_keeps_its_splits_apart(tmp_path: Path) -> None:
    held_out = 'other: {uses: sample, policy: POLICY, problems: "${tasks.rows.test}"}'
    assert made(tmp_path, 'last: {SFT, data: "${tasks.same.train.gold}"}', held_out).nodes
    [said] = refusals(tmp_path, 'last: {SFT, data: "${tasks.same.test.gold}"}')
    assert f"trains on {TEST_SPLIT}: tasks.same.test ->" in said


# With a reason.

LEAK = 'last: {SFT, data: "${stages.leak}"WHY}'
MEASURED = 'measured: {uses: evaluate, policies: {base: POLICY, last: "${stages.last}"}, problems: "${task.test}"}'
CLAIM = 'last_claim: {uses: claim, table: "${stages.measured}", form: {uses: difference, better: last, than: base}}'


@pytest.mark.parametrize(("why", "top"), [(", allow_test: an upper bound", ""), ("", "allow_test: an upper bound")])
def test_a_reason_lets_them_pass_and_is_repeated(tmp_path: Path, why: str, top: str) -> None:
    plan = made(tmp_path, LEAK.replace("WHY", why), MEASURED, CLAIM, top=top)
    note = f"last trains on {TEST_SPLIT}: task.test -> leak -> last; the recipe allows it: an upper bound"
    noted = {name for name, node in plan.nodes.items() if node.notes == (note,)}
    assert noted == {"last", "measured", "last_claim"}
    assert plan.nodes["measured"].learned_from == ("task.test", "task.train")
    assert plan_from_json(json.loads(json.dumps(plan_to_json(plan)))) == plan


def test_a_reason_is_no_part_of_a_key(tmp_path: Path) -> None:
    one = made(tmp_path, LEAK.replace("WHY", ", allow_test: one"))
    other = made(tmp_path, LEAK.replace("WHY", ""), top="allow_test: another")
    assert {name: node.key for name, node in one.nodes.items()} == {
        name: node.key for name, node in other.nodes.items()
    }


def test_a_reason_is_needed_where_it_is_learned_from_and_nowhere_else(tmp_path: Path) -> None:
    pairs = "pairs: {uses: step_pairs, TREES, pairs: {uses: best_sibling}WHY}"
    tuned = 'dpo: {uses: dpo, policy: POLICY, pairs: "${stages.scored}", learning_rate: 1e-3, max_steps: 1}'
    scored = 'scored: {uses: reference, policy: POLICY, pairs: "${stages.pairs}"}'
    [said] = refusals(tmp_path, pairs.replace("WHY", ""), scored, tuned)
    assert "stages.pairs.trees: 'pairs' makes training data of" in said
    plan = made(tmp_path, pairs.replace("WHY", ", allow_test: a replication"), scored, tuned)
    assert plan.nodes["dpo"].notes == plan.nodes["pairs"].notes != ()


def test_a_plug_in_that_makes_a_model_of_rows_trains_whatever_it_declares(tmp_path: Path) -> None:
    [said] = refusals(tmp_path, 'last: {uses: k_train, policy: POLICY, data: "${task.test.gold}"}')
    assert f"stages.last.data: 'last' trains on {TEST_SPLIT}: task.test -> task.test.gold -> last" in said


STEPS = "uses: evaluate_steps, policy: POLICY, scorers: {base: {uses: constant, value: 0.9}, tuned: constant}"
DEV_POOL = 'dev_pool: {uses: sample, policy: POLICY, problems: "${task.dev}", n: 2}'
ON_TEST = 'problems: "${task.test}", solutions: "${stages.leak}"'
ON_DEV = 'problems: "${task.dev}", solutions: "${stages.dev_pool}"'


def test_a_stage_may_choose_on_dev_what_it_measures_on_test(tmp_path: Path) -> None:
    """Neither are the test problems taken for those that it learns from, nor dev for those that a claim is measured
    on: they may be chosen by again."""
    steps = f"steps: {{{STEPS}, {ON_TEST}, dev: {{{ON_DEV}}}}}"
    claim = 'sure: {uses: claim, table: "${stages.steps}", form: {uses: difference, better: tuned, than: base}}'
    plan = made(tmp_path, DEV_POOL, steps, claim, 'last: {uses: choose, policies: BOTH, table: "${stages.dev}"}')
    assert plan.nodes["steps"].learned_from == ("task.dev", "task.train")


@pytest.mark.parametrize(
    ("stages", "field", "message"),
    [
        ([f"last: {{{STEPS}, {ON_DEV}, dev: {{{ON_TEST}}}}}"],
         "dev", "chooses by problems of the split 'test': task.test -> last"),
        ([f"last: {{{STEPS}, {ON_DEV}, dev: {{{ON_DEV}}}}}"],
         "dev", "chooses by problems that it measures itself: task.dev -> last"),
        ([f"steps: {{{STEPS}, {ON_TEST}}}", 'last: {uses: choose, policies: BOTH, table: "${stages.steps}"}'],
         "table", "chooses by problems of the split 'test': task.test -> steps -> last"),
        (['other: {uses: sample, policy: POLICY, problems: "${stages.half}", n: 2}',
          f'last: {{{STEPS}, problems: "${{task.explore}}", solutions: "${{stages.sample}}", '
          'dev: {problems: "${stages.half}", solutions: "${stages.other}"}}'],
         "dev", "chooses by problems that it measures itself: task.explore -> half -> last"),
    ],
)  # fmt: skip
def test_thresholds_are_not_chosen_on_what_is_measured(
    tmp_path: Path, stages: list[str], field: str, message: str
) -> None:
    said = refusals(tmp_path, DEV_POOL, *stages)
    assert any(f"stages.last.{field}" in line and message in line for line in said), said


def test_two_parts_of_one_split_are_apart(tmp_path: Path) -> None:
    pools = [
        f'{one}_pool: {{uses: sample, policy: POLICY, problems: "${{stages.{one}}}", n: 2}}' for one in ("half", "rest")
    ]
    steps = f'{STEPS}, problems: "${{stages.rest}}", solutions: "${{stages.rest_pool}}"'
    made(
        tmp_path,
        *pools,
        f'last: {{{steps}, dev: {{problems: "${{stages.half}}", solutions: "${{stages.half_pool}}"}}}}',
    )
