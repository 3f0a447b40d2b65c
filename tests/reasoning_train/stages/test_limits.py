"""`limits`: rows of the closed form of resampling beside measured ones, what they say together, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from data_gen.errors import UserError
from data_gen.records.scales import Scale
from data_gen.search.votes import VOTES
from reasoning_train.api.refs import Ref
from reasoning_train.evaluation.pools import Scored
from reasoning_train.evaluation.predicted import judged_pool
from reasoning_train.recipe.errors import RecipeError
from reasoning_train.stages.evaluate_trees import EvaluateTreesConfig
from reasoning_train.stages.evaluate_verifier import EvaluateVerifierConfig
from tests.reasoning_train.bench import Bench, problem
from tests.reasoning_train.evaluation.test_pools import answered, pool_of
from tests.reasoning_train.recipe.kitchen import load
from tests.reasoning_train.stages.test_evaluate_trees import BEAM, POOL, table, tree

UNTIL = {"uses": "first_accepted", "bar": 0.4}
MIXED = tree("p0", ("12", 1.0, 1, 0.5), ("8", 0.0, 2, 0.45), ("12", 1.0, 1, 0.1), (None, 0.0, 1, 0.0))
"""Five draws: one of the two right ones is accepted, two of the three wrong ones are."""
NONE = tree("p1", ("8", 0.0, 3, 0.2), ("9", 0.0, 2, 0.1))
"""Five wrong draws, none accepted."""


def test_rows_of_the_closed_form_by_hand(bench: Bench) -> None:
    pool = bench.trees("pool", [MIXED, NONE])
    given = {"until": {"trees": pool, "vote": UNTIL, "n": [1, 2, 5]}, "most": {"trees": pool, "vote": "majority"}}
    rows = table(bench, given, ("p0", "p1"), limits={"price": [2], "n": [40], "most": 30})
    names = [name for name, problem in rows if problem == "p0"]
    assert names == [*(f"until@{n}" for n in (1, 2, 5)), *(f"until, predicted@{n}" for n in (1, 2, 5, 40)), "most"]
    one, two, many = (rows[f"until, predicted@{n}", "p0"] for n in (1, 2, 40))
    assert (one["accuracy"], one["coverage"], one["calls"]) == pytest.approx((1 / 5, 3 / 5, 1))
    assert (two["accuracy"], two["coverage"]) == pytest.approx((1 / 3 * (1 - 0.4**2), 1 - 0.4**2))
    assert two["calls"] == pytest.approx(1 + 0.4) and many["accuracy"] == pytest.approx(1 / 3)
    assert (two["generated_tokens"], two["scored_tokens"]) == pytest.approx((4 * 1.4, 6 / 5 * 1.4))
    assert (two["answer"], two["verdict"], two["oracle"]) == (None, "abstained", False)
    lost = rows["until, predicted@40", "p1"]
    assert (lost["accuracy"], lost["coverage"], lost["calls"]) == (0.0, 0.0, 40.0)
    for n in (1, 2, 5):  # a single draw is the same, and more of a small pool come without repetition
        measured, predicted = (rows[f"{name}@{n}", "p0"]["accuracy"] for name in ("until", "until, predicted"))
        assert measured == pytest.approx(predicted) if n == 1 else measured > predicted


def test_figures_of_the_whole(bench: Bench) -> None:
    pool = bench.trees("pool", [MIXED, NONE])
    problems = bench.problems("problems", [problem("p0", tags={"level": "2"}), problem("p1", tags={"level": "3"})])
    given = {"problems": problems, "strategies": {"until": {"trees": pool, "vote": UNTIL, "n": [1, 2]}}}
    made = bench.make("eval", "evaluate_trees", by=["level"], limits={"price": [0.2, 2], "most": 30}, **given)
    metrics = made.manifest["metrics"]
    found = metrics["limits"]["until"]
    assert (found["problems"], found["plateau"][0], found["answered"][0]) == (2, pytest.approx(1 / 6), 0.5)
    # accepted: 1 of 2 right draws of p0; 2 of its 3 wrong ones and none of the 5 of p1
    assert (found["accepts_right"][0], found["accepts_wrong"][0]) == pytest.approx((1 / 2, 1 / 3))
    cheap, dear = found["best"]
    assert (cheap["price"], cheap["beyond"], cheap["endless"]) == (0.2, False, pytest.approx((1 / 3 - 0.2 * 2 / 3) / 2))
    groups = found["groups"]["level"]
    assert {group: (one["problems"], one["plateau"][0]) for group, one in groups.items()} == {
        "2": (1, pytest.approx(1 / 3)),
        "3": (1, 0.0),
    }
    assert (dear["n"], dear["worth"][0], dear["beyond"]) == (0, 0.0, False)
    summary = metrics["summary"]
    assert summary["policies"]["until, predicted@1"]["accepts_wrong"][0] == pytest.approx(1 / 3)
    assert summary["policies"]["until@2"]["worth@2"][0] == pytest.approx((0.3 - 2 * 0.6) / 2)
    assert "accepts_wrong" in summary["lower"] and {"accepts_right", "accepts_wrong"} <= set(summary["shares"])
    shown = metrics["by"][-1]
    assert shown["columns"][:4] == ["strategy", "accepts right", "accepts wrong ↓", "plateau"]
    assert shown["rows"][0][0] == "until" and shown["rows"][0][3].startswith("16.7 [")
    assert shown["rows"][0][7].startswith("0 [0, ")


def test_a_row_that_never_abstains_is_wrong_where_it_is_not_right(bench: Bench) -> None:
    pool = bench.trees("pool", [POOL])
    given = {"most": {"trees": pool, "vote": "majority"}, "until": {"trees": pool, "vote": UNTIL}}
    table(bench, given, limits={"price": [0.5]})
    policies = bench.made.manifest["metrics"]["summary"]["policies"]
    assert policies["most"]["worth@0.5"][0] == -0.5 and "coverage" not in policies["most"]


def test_rates_of_a_second_pool_predict(bench: Bench) -> None:
    pool, second = bench.trees("pool", [MIXED]), bench.trees("second", [tree("p0", ("12", 1.0, 2, 0.9))])
    given = {"until": {"trees": pool, "vote": UNTIL, "n": 1, "rates": second}}
    rows = table(bench, given, limits={})
    assert (rows["until", "p0"]["accuracy"], rows["until, predicted@1", "p0"]["accuracy"]) == (pytest.approx(0.2), 1.0)


def test_several_trees_of_a_problem_are_one_pool(bench: Bench) -> None:
    pool = bench.trees("pool", [tree("p0", ("12", 1.0, 2, 0.9)), tree("p0", ("8", 0.0, 2, 0.9), sample=1)])
    rows = table(bench, {"until": {"trees": pool, "vote": UNTIL, "n": [1]}}, limits={"n": [3]})
    assert rows["until, predicted@3", "p0"]["accuracy"] == 0.5


def test_a_tree_without_paths_is_never_accepted(bench: Bench) -> None:
    pool = bench.trees("pool", [tree("p0", scored_tokens=0)])
    rows = table(bench, {"until": {"trees": pool, "vote": UNTIL}}, limits={"n": [3]})
    for name in ("until", "until, predicted@3"):
        one = rows[name, "p0"]
        assert (one["accuracy"], one["coverage"], one["tokens"]) == (0.0, 0.0, 0.0)


def test_gold_that_cannot_be_read_takes_the_problem_out(bench: Bench) -> None:
    pool = bench.trees("pool", [MIXED, tree("p1", ("8", None, 1, 0.9), ("7", 0.0, 1, 0.9))])
    rows = table(bench, {"until": {"trees": pool, "vote": UNTIL}}, ("p0", "p1"), limits={}, max_unverifiable=0.5)
    assert rows["until, predicted@1", "p1"]["verdict"] == "unverifiable"
    assert bench.made.manifest["metrics"]["limits"]["until"]["problems"] == 1


def test_solutions_of_a_stored_pool() -> None:
    """Two of four are accepted, one of them right; one has no answer, whatever its score."""
    scored = Scored(pool_of(answered(["2", "9", "7", None])), [0.9, 0.8, 0.1, 0.9], Scale.P)
    vote = VOTES.get("first_accepted").model_validate({"bar": 0.5})
    row = judged_pool(scored, vote).predicted("rm, predicted@2", 2, **scored.pool.sampled)
    assert (row.accuracy, row.coverage, row.calls) == pytest.approx((0.375, 0.75, 1.5))
    tokens = scored.pool.generated[0], scored.pool.read[0]
    assert (row.generated_tokens, row.scored_tokens) == pytest.approx(tuple(1.5 * n for n in tokens))
    one = judged_pool(scored, vote).predicted("rm, predicted@1", 1, **scored.pool.sampled)
    assert one.measures == {"accepts_right": 1.0, "accepts_wrong": pytest.approx(1 / 3)} and row.measures == {}


def test_rows_of_a_verifier_are_named() -> None:
    ref = Ref("x")
    given = {"verifiers": {"rm": ref}, "solutions": ref, "policy": ref, "problems": ref, "n": [2]}
    config = EvaluateVerifierConfig.model_validate({**given, "votes": ["argmax", UNTIL], "limits": {"n": [8]}})
    names = [f"rm, first_accepted, predicted@{n}" for n in (1, 2, 8)]
    assert config.row_names[-3:] == names and set(config.arms) == {*config.row_names}
    assert config.arms[names[0]] == config.arms["rm, first_accepted"]
    with pytest.raises(ValidationError, match="limits: no vote takes the first solution that its verifier accepts"):
        EvaluateVerifierConfig.model_validate({**given, "limits": {}})


def test_rules_around_one_that_takes_the_first_are_not_predicted() -> None:
    """They ask for all draws, and answer by majority or not at all where the rule inside would take the first."""

    def accepting(vote: dict[str, Any]) -> float | None:
        return VOTES.get(vote["uses"]).model_validate(vote).accepting

    assert accepting(UNTIL) == 0.4
    assert accepting({"uses": "gated", "bar": 0.7, "otherwise": UNTIL}) is None
    assert accepting({"uses": "abstaining", "vote": UNTIL, "bar": 0.2}) is None
    assert accepting({"uses": "filtered", "bar": 0.5}) is None and accepting({"uses": "majority"}) is None


def test_what_is_refused(bench: Bench) -> None:
    given = {"problems": Ref("x"), "strategies": {"most": {"trees": Ref("x"), "vote": "majority"}}}
    with pytest.raises(ValidationError, match="limits: no strategy takes the first candidate that its ver"):
        EvaluateTreesConfig.model_validate({**given, "limits": {}})
    clash = {"a": {"trees": Ref("x"), "vote": UNTIL}, "a, predicted@1": {"trees": Ref("x")}}
    with pytest.raises(ValidationError, match="'a, predicted@1' would name two rows"):
        EvaluateTreesConfig.model_validate({**given, "strategies": clash, "limits": {}})
    for bad, said in (({"price": [-1]}, "greater than or equal to 0"), ({"n": [0]}, "greater than or equal to 1")):
        with pytest.raises(ValidationError, match=said):
            EvaluateTreesConfig.model_validate({**given, "strategies": {"a": clash["a"]}, "limits": bad})
    grown = bench.trees("beam", [replace(BEAM, nodes=POOL.nodes)])
    with pytest.raises(UserError, match=r"strategies\.x\.vote: `limits` predicts independent draws"):
        table(bench, {"x": {"trees": grown, "vote": UNTIL}}, limits={})


RECIPE = """
    name: limited
    task: {uses: k_task}
    model: {init: {}, tokenizer: task}
    stages:
      pool: {uses: search, policy: "${model}", problems: "${task.test}", search: best_of_n, scorer: constant}
      plain: {uses: search, policy: "${model}", problems: "${task.test}", search: iid}
      beam: {uses: search, policy: "${model}", problems: "${task.test}", search: beam, scorer: constant}
      eval: {uses: evaluate_trees, problems: "${task.test}", LIMITS
             strategies: {until: {trees: "${stages.pool}", vote: {uses: first_accepted, bar: 0.5}}, other: OTHER}}
"""


@pytest.mark.parametrize(
    ("limits", "other", "said"),
    [
        (
            "limits: {},",
            '{trees: "${stages.beam}", vote: {uses: first_accepted, bar: 0.5}}',
            r"other\.vote: `limits` pred",
        ),
        ("limits: {},", '{trees: "${stages.pool}", rates: "${stages.pool}"}', r"other\.rates: nothing reads them"),
        (
            "",
            '{trees: "${stages.pool}", vote: {uses: first_accepted, bar: 0.5}, rates: "${stages.pool}"}',
            "nothing reads",
        ),
        (
            "limits: {},",
            '{trees: "${stages.pool}", vote: {uses: first_accepted, bar: 0.5}, rates: "${stages.plain}"}',
            r"other\.rates: 'plain' has no `scorer`, so that nothing in it is accepted",
        ),
    ],
)
def test_what_does_not_fit_is_told_at_load(tmp_path: Path, limits: str, other: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        load(tmp_path, RECIPE.replace("LIMITS", limits).replace("OTHER", other))
