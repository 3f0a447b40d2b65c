"""Verdicts of claims, each brought about by construction, and their messages."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from data_gen.errors import UserError
from reasoning_train.api.refs import Ref
from reasoning_train.recipe.errors import RecipeError
from reasoning_train.recipe.load import load_plan
from tests.reasoning_train.bench import Bench
from tests.reasoning_train.evaluation.rows import row, rows
from tests.reasoning_train.recipe.kitchen import load

P = 80
HALF = [i % 2 == 0 for i in range(P)]
ALL = [True] * P
TUNED = {"uses": "difference", "better": "tuned", "than": "base"}
Seed = dict[str, list[bool]]


def nearly(base: list[bool], changed: int) -> list[bool]:
    """`changed` more right answers (fewer, where negative)."""
    flips = [i for i, right in enumerate(base) if right == (changed < 0)][: abs(changed)]
    return [not right if i in flips else right for i, right in enumerate(base)]


def tables(bench: Bench, seeds: list[Seed], name: str = "table") -> list[Ref]:
    """A table a seed of rows whose problems are right or wrong; equal ones are made once."""
    return given(bench, [[r for policy, right in seed.items() for r in rows(policy, right)] for seed in seeds], name)


def given(bench: Bench, seeds: list[list[dict[str, Any]]], name: str = "table") -> list[Ref]:
    numbers = [seeds.index(made) for made in seeds]
    made = {number: bench.given(f"{name}{number}", "t_evaluation", seeds[number]) for number in dict.fromkeys(numbers)}
    return [made[number] for number in numbers]


def claim(bench: Bench, **config: Any) -> dict[str, Any]:
    artifact = bench.make("claim", "claim", **{"form": TUNED, **config})
    found: dict[str, Any] = json.loads((artifact.path / "verdict" / "verdict.json").read_text())
    metrics = artifact.manifest["metrics"]
    assert metrics["verdict"] == found["verdict"] and f": {found['verdict']}; " in metrics["table"]["title"]
    assert [cells[-1] for cells in metrics["table"]["rows"]] == [one["verdict"] for one in found["comparisons"]]
    return {**found, "table": metrics["table"]}


def verdict(bench: Bench, seeds: list[Seed], **config: Any) -> dict[str, Any]:
    return claim(bench, table=tables(bench, seeds), **config)


def test_supported(bench: Bench) -> None:
    found = verdict(bench, [{"base": HALF, "tuned": nearly(HALF, 16 + seed)} for seed in range(5)])
    assert found["verdict"] == "supported"
    [gain] = found["comparisons"]
    value, low, high = gain["estimate"]
    assert value == pytest.approx(0.225)
    assert 0 < low < value < high
    assert (gain["name"], gain["metric"], gain["claim"]) == ("tuned - base", "accuracy", "> 0")
    assert [seed[0] for seed in gain["per_seed"]] == pytest.approx([0.2, 0.2125, 0.225, 0.2375, 0.25])
    assert found["table"]["title"] == "claim on accuracy: supported; 80 problems, 5 seeds"


def test_a_verdict_says_what_was_tried_for_each_arm(bench: Bench) -> None:
    made = [*rows("base", HALF), *rows("tuned", ALL)]
    table = bench.given("chosen", "t_evaluation", made, metrics={"summary": {"tried": {"tuned": {"best": 4}}}})
    found = claim(bench, table=[table] * 5)
    assert found["tried"] == {"tuned": "1 of 4", "base": "not tuned"}
    assert found["table"]["title"].endswith("80 problems, 5 seeds; tried: tuned 1 of 4, base not tuned")


def test_contradicted(bench: Bench) -> None:
    assert verdict(bench, [{"base": HALF, "tuned": nearly(HALF, -16)}] * 5)["verdict"] == "contradicted"


def test_not_resolved_where_the_interval_holds_zero(bench: Bench) -> None:
    assert verdict(bench, [{"base": HALF, "tuned": nearly(HALF, 1)}] * 5)["verdict"] == "not resolved"


def test_fewer_seeds_than_five_give_numbers_and_no_verdict(bench: Bench) -> None:
    found = verdict(bench, [{"base": HALF, "tuned": ALL}] * 4)
    assert found["verdict"] == "4 of 5 seeds, no verdict"
    assert found["comparisons"][0]["estimate"][0] == pytest.approx(0.5)


def test_three_seeds_give_one_where_the_recipe_says_so(bench: Bench) -> None:
    found = verdict(bench, [{"base": HALF, "tuned": nearly(HALF, 16)}] * 3, seeds_needed=3)
    assert found["verdict"] == "supported"
    assert found["table"]["title"].endswith("3 seeds (3 suffice, says the recipe)")


def test_two_seeds_never_do(bench: Bench) -> None:
    with pytest.raises(ValueError, match="seeds_needed\n.*greater than or equal to 3"):
        verdict(bench, [{"base": HALF, "tuned": ALL}] * 2, seeds_needed=2)


def test_the_margin_must_be_exceeded(bench: Bench) -> None:
    found = verdict(bench, [{"base": HALF, "tuned": nearly(HALF, 16)}] * 5, form={**TUNED, "margin": 0.4})
    assert found["verdict"] == "contradicted"
    assert found["comparisons"][0]["claim"] == "> 40"


@pytest.mark.parametrize(
    ("control", "found"),
    [(nearly(HALF, 16), "not resolved"), (HALF, "supported"), (ALL, "contradicted")],
    ids=["gains as much", "gains nothing", "gains more"],
)
def test_a_control_must_gain_less(bench: Bench, control: list[bool], found: str) -> None:
    seeds = [{"base": HALF, "tuned": nearly(HALF, 16), "control": control}] * 5
    result = verdict(bench, seeds, form={**TUNED, "control": "control"})
    assert result["verdict"] == found
    assert [(one["name"], one["verdict"]) for one in result["comparisons"]] == [
        ("tuned - base", "supported"),
        ("control - base", "not claimed"),
        ("tuned - control", found),
    ]


def test_a_difference_of_differences_over_two_tables(bench: Bench) -> None:
    """At high noise pf gains 16 of 80 on beam, at low noise 4."""
    high = tables(bench, [{"beam": HALF, "pf": nearly(HALF, 16)}] * 5, "high")
    low = tables(bench, [{"beam": HALF, "pf": nearly(HALF, 4)}] * 5, "low")
    form = {"uses": "contrast", "weights": {"high/pf": 1, "high/beam": -1, "low/pf": -1, "low/beam": 1}}
    found = claim(bench, tables={"high": high, "low": low}, form=form)
    [gain] = found["comparisons"]
    assert gain["name"] == "high/pf - high/beam - low/pf + low/beam"
    assert gain["estimate"][0] == pytest.approx(12 / 80)
    assert found["verdict"] == "supported"


def test_a_table_that_no_seed_reaches_stands_for_all(bench: Bench) -> None:
    tuned = tables(bench, [{"it": nearly(HALF, 16)}] * 5, "tuned")
    base = tables(bench, [{"it": HALF}], "base")
    form = {"uses": "difference", "better": "tuned/it", "than": "base/it"}
    assert claim(bench, tables={"tuned": tuned, "base": base}, form=form)["verdict"] == "supported"


def test_problems_of_two_tables_are_paired_by_id(bench: Bench) -> None:
    """The second table has the same problems in another order, and four more of its own."""
    other = [*reversed(rows("it", HALF)), *(row("it", f"own{i}", False) for i in range(4))]
    first, second = tables(bench, [{"it": HALF}] * 5), [bench.given("other", "t_evaluation", other)]
    form = {"uses": "within", "arm": "one/it", "of": "two/it", "margin": 0.1}
    found = claim(bench, tables={"one": first, "two": second}, form=form)
    assert (found["problems"], found["left_out"], found["verdict"]) == (80, 4, "supported")
    assert found["comparisons"][0]["estimate"][0] == 0.0
    assert found["table"]["title"].endswith("80 problems, 4 left out, 5 seeds")


def test_too_few_shared_problems_are_refused_and_counted(bench: Bench) -> None:
    made = tables(bench, [{"base": HALF, "tuned": ALL[:60]}] * 5)
    with pytest.raises(UserError, match=r"60 of 80 problems are verifiable .* fewer than min_shared=0.9"):
        claim(bench, table=made)
    assert claim(bench, table=made, min_shared=0.7)["left_out"] == 20


def test_a_trend_along_arms(bench: Bench) -> None:
    seeds = [{f"a{n}": nearly(HALF, 8 * n) for n in (0, 1, 2)}] * 5
    found = verdict(bench, seeds, form={"uses": "trend", "arms": ["a0", "a1", "a2"]})
    assert found["verdict"] == "supported"
    slope, *steps = found["comparisons"]
    assert slope["estimate"][0] == pytest.approx(0.1)
    assert [(one["name"], one["verdict"]) for one in steps] == [
        ("a1 - a0", "not claimed"),
        ("a2 - a1", "not claimed"),
    ]


@pytest.mark.parametrize(
    ("changed", "found"), [(0, "supported"), (-16, "contradicted"), (-4, "not resolved"), (16, "supported")]
)
def test_within_asks_for_no_loss_beyond_the_margin(bench: Bench, changed: int, found: str) -> None:
    """Of 80 problems 4 are five points; where none differs, 1.96^2 / (80 + 1.96^2) = 4.6 points could be hidden."""
    form = {"uses": "within", "arm": "tuned", "of": "base", "margin": 0.05}
    assert verdict(bench, [{"base": HALF, "tuned": nearly(HALF, changed)}] * 5, form=form)["verdict"] == found


def dear(tokens: list[int]) -> list[list[dict[str, Any]]]:
    """Five seeds of a base that costs 10 tokens a problem and a better arm that costs these, one after the other."""
    better = [row("tuned", f"p{i}", True, tokens=tokens[i % len(tokens)]) for i in range(P)]
    return [[*rows("base", HALF), *better]] * 5


@pytest.mark.parametrize(
    ("tokens", "config", "paid", "found"),
    [
        ([10], {}, "supported", "supported"),
        ([9, 11], {}, "supported", "supported"),
        ([4], {}, "supported", "supported"),
        ([12], {}, "contradicted", "contradicted"),
        ([9, 12], {}, "contradicted", "contradicted"),
        ([0, 0, 0, 0, 0, 0, 0, 80], {}, "supported", "supported"),
        ([0, 0, 0, 0, 0, 0, 0, 88], {}, "not resolved", "not resolved"),
        ([12], {"tolerance": 0.2}, "supported", "supported"),
    ],
)
def test_the_better_arm_may_cost_no_more(
    bench: Bench, tokens: list[int], config: dict[str, Any], paid: str, found: str
) -> None:
    result = claim(bench, table=given(bench, dear(tokens)), no_more="tokens", **config)
    gain, cost = result["comparisons"]
    assert (gain["verdict"], cost["name"], cost["claim"]) == ("supported", "cost of tuned - base", "<= 0")
    assert (cost["verdict"], result["verdict"]) == (paid, found)


def test_several_metrics_have_one_verdict_and_lower_may_be_better(bench: Bench) -> None:
    made = given(bench, dear([8]))
    found = claim(bench, table=made, metrics=["accuracy", "trace", "tokens"])
    assert [(one["metric"], one["claim"], one["verdict"]) for one in found["comparisons"]] == [
        ("accuracy", "> 0", "supported"),
        ("trace", "> 0", "supported"),
        ("tokens", "< 0", "supported"),
    ]
    assert found["verdict"] == "supported"
    assert found["table"]["rows"][2][3] == "-2.0 [-2.0, -2.0]"  # tokens, no percentage
    turned = {"uses": "difference", "better": "base", "than": "tuned"}
    assert claim(bench, table=made, metrics=["accuracy"], lower=["accuracy"], form=turned)["verdict"] == "supported"


def test_measures_are_columns_whose_direction_the_table_declares(bench: Bench) -> None:
    made = [
        row(name, f"p{i}", True, measures={"errors": 1.5 - (name == "tuned")})
        for name in ("base", "tuned")
        for i in range(P)
    ]
    table = [bench.given("t", "t_evaluation", made, metrics={"summary": {"lower": ["errors"]}})] * 5
    [gain] = claim(bench, table=table, metrics=["errors"])["comparisons"]
    assert (gain["claim"], gain["verdict"], gain["estimate"]) == ("< 0", "supported", pytest.approx([-1.0] * 3))


def test_a_declared_share_is_bounded_and_unread_problems_are_left_out(bench: Bench) -> None:
    """Always 1 minus always 0 on 8 of 9 problems: the interval is Wilson's and ends at 100 %."""
    made = [
        row(name, f"p{i}", True, measures={"strict": float(name == "tuned")} if i else {})
        for name in ("base", "tuned")
        for i in range(9)
    ]
    table = [bench.given("t", "t_evaluation", made, metrics={"summary": {"shares": ["strict"]}})] * 5
    found = claim(bench, table=table, metrics=["strict"], min_shared=0.8)
    [gain] = found["comparisons"]
    z = 1.959964
    assert gain["estimate"] == pytest.approx([1.0, 1.0 - 2 * z**2 / (8 + z**2), 1.0], abs=1e-4)
    assert (found["problems"], found["left_out"]) == (8, 1)
    with pytest.raises(UserError, match="8 of 9 problems are verifiable in every row, table and seed and have every"):
        claim(bench, table=table, metrics=["strict"], min_shared=0.95)


F1 = {"summary": {"ratios": {"f1": ["hits", "either"]}, "shares": ["f1"]}}


def labelled(policy: str, said: list[bool]) -> list[dict[str, Any]]:
    """Rows of a labeller whose gold label is there for every second problem."""
    return [
        row(policy, f"p{i}", one is gold, measures={"hits": float(one and gold), "either": (one + gold) / 2})
        for i, (one, gold) in enumerate(zip(said, HALF, strict=True))
    ]


def test_forms_compare_figures_of_whole_rows(bench: Bench) -> None:
    """Of 40 labels `base` says 20, `mid` 30 and `tuned` all, and none says another: F1 2/3, 6/7 and 1."""
    said = {"base": nearly(HALF, -20), "mid": nearly(HALF, -10), "tuned": HALF}
    made = [one for policy, own in said.items() for one in labelled(policy, own)]
    table = [bench.given("labels", "t_evaluation", made, metrics=F1)] * 5
    found = claim(bench, table=table, metrics=["f1"])
    [gain] = found["comparisons"]
    assert (gain["estimate"][0], gain["claim"], found["verdict"]) == (pytest.approx(1 / 3), "> 0", "supported")
    assert found["table"]["rows"][0][3].startswith("+33.3 [")
    assert claim(bench, table=table, metrics=["f1"], form={**TUNED, "margin": 0.6})["verdict"] == "contradicted"
    trend = claim(bench, table=table, metrics=["f1"], form={"uses": "trend", "arms": ["base", "mid", "tuned"]})
    assert (trend["comparisons"][0]["estimate"][0], trend["verdict"]) == (pytest.approx(1 / 6), "supported")
    bend = {"uses": "contrast", "weights": {"mid": 2, "base": -1, "tuned": -1}}
    bent = claim(bench, table=table, metrics=["f1"], form=bend)["comparisons"][0]["estimate"]
    assert bent[0] == pytest.approx(2 * 6 / 7 - 2 / 3 - 1)
    within = {"uses": "within", "arm": "base", "of": "tuned", "margin": 0.6}
    assert claim(bench, table=table, metrics=["f1"], form=within)["verdict"] == "supported"
    both = claim(bench, table=table, metrics=["accuracy", "f1"])
    assert [one["estimate"][0] for one in both["comparisons"]] == pytest.approx([20 / 80, 1 / 3])


def test_a_figure_without_a_denominator_is_no_zero(bench: Bench) -> None:
    """Nobody says the label, and gold has it nowhere."""
    made = [row(name, f"p{i}", True, measures={"hits": 0, "either": 0}) for name in ("base", "tuned") for i in range(8)]
    table = [bench.given("labels", "t_evaluation", made, metrics=F1)] * 5
    said = "'tuned' has no f1 under 5 of 5 seeds: of 8 problems none counts in what it divides by (hits, either)"
    with pytest.raises(UserError, match=re.escape(said)):
        claim(bench, table=table, metrics=["f1"])


def test_pass_at_k_needs_k_samples_of_every_problem(bench: Bench) -> None:
    drawn = {"sampled_correct": (True, False), "sampled_classes": (0, 1), "sampled_steps_ok": (True, False)}
    made = given(bench, [[row(name, f"p{i}", True, **drawn) for name in ("base", "tuned") for i in range(8)]] * 5)
    assert claim(bench, table=made, metrics=["pass@2"])["comparisons"][0]["estimate"][0] == 0.0
    with pytest.raises(UserError, match="'base' has 2 samples of problem p0, fewer than k=4"):
        claim(bench, table=made, metrics=["pass@4"])


def test_where_restricts_the_problems(bench: Bench) -> None:
    """The tuned policy is better at difficulty 2 only."""
    made = [
        row(
            policy,
            f"p{i}",
            policy == "tuned" if i % 2 else i % 4 == 0,
            difficulty=1.0 + i % 2,
            tags={"subject": "sums" if i % 2 else "products"},
        )
        for policy in ("base", "tuned")
        for i in range(P)
    ]
    table = given(bench, [made] * 5)
    hard = claim(bench, table=table, where={"difficulty": 2})
    assert (hard["problems"], hard["verdict"]) == (40, "supported")
    assert hard["table"]["title"].startswith("claim on accuracy where difficulty is 2: supported")
    assert claim(bench, table=table, where={"subject": "sums"})["comparisons"] == hard["comparisons"]
    assert claim(bench, table=table, where={"subject": ["sums", "products"]})["problems"] == P
    assert claim(bench, table=table, where={"difficulty": 1})["verdict"] == "not resolved"
    with pytest.raises(UserError, match="no problem of the tables matches {'difficulty': 3}"):
        claim(bench, table=table, where={"difficulty": 3})


CHECKED = """
    name: checked
    include: [configs/models/tiny.yaml, configs/tasks/chain.yaml]
    stages:
      eval: {uses: evaluate, policies: {base: "${model}", tuned: "${model}"}, problems: "${task.test}", samples: 4}
      other: {uses: evaluate, policies: {base: "${model}"}, problems: "${task.dev}"}
      claim: {uses: claim, table: "${stages.eval}", form: {uses: difference, better: tuned, than: base}}
"""
TWO = """
    name: checked
    include: [configs/models/tiny.yaml, configs/tasks/chain.yaml]
    stages:
      eval: {uses: evaluate, policies: {base: "${model}", tuned: "${model}"}, problems: "${task.test}", samples: 4}
      other: {uses: evaluate, policies: {base: "${model}"}, problems: "${task.dev}"}
      claim:
        uses: claim
        tables: {one: "${stages.eval}", two: "${stages.other}"}
        form: {uses: contrast, weights: {one/tuned: 1, two/base: -1}}
"""


def test_one_reference_becomes_the_tables_of_all_seeds(tmp_path: Path) -> None:
    plan = load(tmp_path, CHECKED, "seeds=[0, 1]", "stages.claim.metrics=['pass@4']")
    assert [ref.node for ref in plan.nodes["claim"].config["table"]] == ["eval@0", "eval@1"]
    two = load(tmp_path, TWO, "seeds=[0, 1]").nodes["claim"].config["tables"]
    assert {name: len(refs) for name, refs in two.items()} == {"one": 2, "two": 2}


@pytest.mark.parametrize(
    ("text", "override", "message"),
    [
        (CHECKED, "form.better=tuend", "claim.form.better: the table 'eval' has no row 'tuend'. Did you mean 'tuned'?"),
        (CHECKED, "form.control=other", "claim.form.control: the table 'eval' has no row 'other'. Known: base, tuned."),
        (
            CHECKED,
            "metrics=['pass@8']",
            "claim.metrics: pass@8 needs 8 samples a problem, but the table draws 4",
        ),
        (CHECKED, "metrics=[acuracy]", "claim.metrics: there is no metric 'acuracy'. Did you mean 'accuracy'?"),
        (CHECKED, "no_more=token", "claim.no_more: there is no cost 'token'. Did you mean 'tokens'?"),
        (CHECKED, "lower=[trace]", "claim.lower: 'trace' is not one of the claim's metrics. Known: accuracy."),
        (
            CHECKED,
            "{metrics: [accuracy, tokens], form: {uses: within, arm: tuned, of: base, margin: 0.02}}",
            "claim.form.margin: -0.02 would be a margin of all metrics, but accuracy is a share and tokens counts "
            "tokens. Make a claim of its own for each unit.",
        ),
        (CHECKED, "tolerance=0.1", "tolerance: it needs `no_more`, which is not given"),
        (CHECKED, "tables={a: '${stages.eval}'}", "give either `table`, or `tables` with a name for each"),
        (
            CHECKED,
            "table=['${stages.eval}', '${stages.other}']",
            "claim.table: eval, other are several tables; give each a name of its own in `tables`.",
        ),
        (
            CHECKED,
            "form={uses: diffrence}",
            "claim.form.uses: 'diffrence' is not known here. Did you mean",
        ),
        (TWO, "form.weights={one/tuend: 1, two/base: -1}", "claim.form.weights: the table 'eval' has no row 'tuend'."),
        (TWO, "form.weights={on/base: 1, two/base: -1}", "'on/base' names no table; write TABLE/ROW with one of the"),
        (TWO, "form.weights={one/base: 1, two/base: 1}", "weights must differ from 0 and sum to 0"),
        (TWO, "form={uses: trend, arms: [one/base, two/base]}", "claim.form.arms"),
    ],
)
def test_names_are_checked_before_anything_runs(tmp_path: Path, text: str, override: str, message: str) -> None:
    overrides = [f"stages.claim.{override}"]
    if override.startswith("{"):
        overrides = [f"stages.claim.{name}={json.dumps(value)}" for name, value in yaml.safe_load(override).items()]
    with pytest.raises(RecipeError, match=re.escape(message)):
        load(tmp_path, text, *overrides)


def test_a_margin_belongs_to_metrics_of_one_unit(bench: Bench) -> None:
    """Two shares may have one margin, and metrics of any units a claim without one. What a measure is, its table
    says."""
    made = [
        row(name, f"p{i}", name == "tuned" or i % 2 == 0, measures={"strict": 1.0, "errors": 1.0})
        for name in ("base", "tuned")
        for i in range(P)
    ]
    table = [bench.given("t", "t_evaluation", made, metrics={"summary": {"shares": ["strict"]}})] * 5
    form = {**TUNED, "margin": 0.1}
    assert len(claim(bench, table=table, metrics=["accuracy", "strict"], form=form)["comparisons"]) == 2
    assert len(claim(bench, table=table, metrics=["accuracy", "errors"])["comparisons"]) == 2
    said = "claim.form.margin: 0.1 would be a margin of all metrics, but accuracy is a share and errors has the unit of"
    with pytest.raises(UserError, match=re.escape(said)):
        claim(bench, table=table, metrics=["accuracy", "errors"], form=form)


def test_rows_of_verifiers_are_known_before_anything_runs() -> None:
    recipe = Path(__file__).parents[3] / "recipes" / "orm" / "tiny.yaml"
    with pytest.raises(RecipeError, match=re.escape("the table 'measured' has no row 'omr'. Did you mean 'orm'?")):
        load_plan(recipe, ["stages.claim.form.better=omr"])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"form": {**TUNED, "better": "tunde"}}, "the table has no row 'tunde'. Did you mean 'tuned'?"),
        ({"metrics": ["steps"]}, "the rows have no metric 'steps'; they have accuracy, cut, tokens, trace."),
    ],
)
def test_what_only_the_run_can_tell_is_listed(bench: Bench, config: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        verdict(bench, [{"base": HALF, "tuned": ALL}], **config)
