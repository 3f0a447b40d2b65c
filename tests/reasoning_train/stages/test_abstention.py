"""Strategies of `evaluate_trees` that abstain, stop drawing, or read a measure; and several budgets in one entry."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from data_gen.errors import UserError
from data_gen.records.trees import Tree, TreeNode
from reasoning_train.api.refs import Ref
from reasoning_train.evaluation.names import metric_problem
from reasoning_train.stages.evaluate_trees import EvaluateTreesConfig, Strategy
from tests.reasoning_train.bench import CHAIN, Bench, problem, rows_of
from tests.reasoning_train.evaluation.rows import rows
from tests.reasoning_train.stages.test_evaluate_trees import BEAM, POOL, table, tree

SURE, SPLIT = (tree(name, ("12", 1.0, 3, 0.9), ("8", 0.0, 1, 0.2)) for name in ("p0", "p1"))
LOST = tree("p1", ("12", 1.0, 1, 0.3), ("8", 0.0, 1, 0.4), ("9", 0.0, 2, 0.2))
"""Four paths each. In SURE, 12 has three of them; in LOST, 9 has two."""


def share(bar: float) -> dict[str, Any]:
    return {"uses": "abstaining", "vote": "majority", "bar": bar}


def test_an_abstention_is_neither_right_nor_wrong(bench: Bench) -> None:
    pool = bench.trees("pool", [SURE, LOST])
    given = {"most": {"trees": pool, "vote": "majority"}, "strict": {"trees": pool, "vote": share(0.7)}}
    rows = table(bench, given, ("p0", "p1"))
    assert {key: (row["verdict"], row["accuracy"], row["coverage"]) for key, row in rows.items()} == {
        ("most", "p0"): ("correct", 1.0, None),
        ("most", "p1"): ("wrong", 0.0, None),
        ("strict", "p0"): ("correct", 1.0, 1.0),
        ("strict", "p1"): ("abstained", 0.0, 0.0),
    }
    assert rows["strict", "p1"]["answer"] is None and rows["most", "p1"]["confidence"] == 0.5
    metrics = bench.made.manifest["metrics"]
    most, strict = (metrics["summary"]["policies"][name] for name in ("most", "strict"))
    assert (strict["accuracy"][0], strict["coverage"][0], strict["risk"][0]) == (0.5, 0.5, 0.0)
    # The surer answer is right, the other one wrong: risks 0 and 1/2 of one and of two answers.
    assert most["aurc"][0] == 0.25 and "coverage" not in most and "risk" not in most and strict["aurc"][0] == 0.0
    shown = metrics["table"]
    assert shown["columns"][2:6] == ["accuracy", "coverage", "risk ↓", "aurc ↓"]
    assert "an abstention is not right in `accuracy`" in shown["title"]
    assert shown["rows"][0][3:5] == ["", ""] and shown["rows"][1][3].startswith("50.0 [")


def test_a_claim_counts_an_abstention_as_not_right_and_says_so(bench: Bench) -> None:
    pool = bench.trees("pool", [SURE, LOST])
    given = {"most": {"trees": pool, "vote": "majority"}, "strict": {"trees": pool, "vote": share(0.8)}}
    table(bench, given, ("p0", "p1"))
    form = {"uses": "difference", "better": "strict", "than": "most"}
    metrics = bench.make("claim", "claim", table=[Ref("eval")], form=form).manifest["metrics"]
    assert "; strict answers 0.0 [0.0, 65.8] %, and an abstention counts as not right" in metrics["table"]["title"]
    assert metrics["table"]["rows"][0][3].startswith("-50.0 [")
    assert metric_problem("coverage", {}) is None and metric_problem("calls", {}, cost=True) is None


def test_claims_compare_risks_and_areas(bench: Bench) -> None:
    """Of the two answers of `most`, the surer is right; `strict` gives that one alone."""
    pool = bench.trees("pool", [SURE, LOST])
    given = {"most": {"trees": pool, "vote": "majority"}, "strict": {"trees": pool, "vote": share(0.7)}}
    table(bench, given, ("p0", "p1"))
    form = {"uses": "difference", "better": "strict", "than": "most"}
    made = bench.make("claim", "claim", table=[Ref("eval")], form=form, metrics=["risk", "aurc"])
    risk, area = made.manifest["metrics"]["comparisons"]
    assert (risk["claim"], risk["estimate"][0], area["claim"], area["estimate"][0]) == ("< 0", -0.5, "< 0", -0.25)
    none = bench.given("none", "t_evaluation", [*rows("most", [True]), *rows("strict", [True])])
    with pytest.raises(UserError, match=r"claim.metrics: 'strict' has no aurc under 1 of 1 seeds: of 1 problems none"):
        bench.make("claim", "claim", table=[none], form=form, metrics=["aurc"])


def test_risk_falls_with_the_bar(bench: Bench) -> None:
    """Ten problems, of which those with the clearer majority are right."""
    names = tuple(f"p{i}" for i in range(10))
    clear = [(1 + i, 11 - i) if i < 5 else (2 + i, 1) for i in range(10)]
    pools = [
        tree(name, ("12", 1.0, right, 0.5), ("8", 0.0, wrong, 0.5))
        for name, (right, wrong) in zip(names, clear, strict=True)
    ]
    pool = bench.trees("pool", pools)
    table(bench, {f"b{bar}": {"trees": pool, "vote": share(bar)} for bar in (0.5, 0.8, 0.9)}, names)
    found = bench.made.manifest["metrics"]["summary"]["policies"]
    coverage, risk = ([found[f"b{bar}"][metric][0] for bar in (0.5, 0.8, 0.9)] for metric in ("coverage", "risk"))
    # 8 wins the first five with shares of 11, 10, 9, 8 and 7 of 12; 12 the others with 7/8, 8/9, ..., 11/12.
    assert coverage == pytest.approx([1.0, 0.7, 0.4]) and risk == pytest.approx([0.5, 2 / 7, 1 / 4])


def test_several_budgets_in_one_entry(bench: Bench) -> None:
    pool = bench.trees("pool", [POOL])
    rows = table(bench, {"best": {"trees": pool, "vote": "argmax", "n": [4, 1, 2, 2]}, "all": {"trees": pool}})
    assert [name for name, _ in rows] == ["best@1", "best@2", "best@4", "all"]
    assert [rows[f"best@{n}", "p0"]["accuracy"] for n in (1, 2, 4)] == pytest.approx([0.25, 0.5, 1.0])
    assert [rows[f"best@{n}", "p0"]["tokens"] for n in (1, 2, 4)] == pytest.approx([5.5, 11, 22])
    assert [rows[f"best@{n}", "p0"]["calls"] for n in (1, 2, 4)] == [1, 2, 4]
    assert bench.made.manifest["metrics"]["summary"]["strategies"]["best@2"] == "best_of_n 2, argmax"
    with pytest.raises(UserError, match=r"strategies\.x\.n: paths of a tree that 'beam' grew are not independent"):
        table(bench, {"x": {"trees": bench.trees("beam", [BEAM]), "n": [1]}})
    for n, said in ((0, "greater than or equal to 1"), ([0], "greater than or equal to 1"), ([], "n is an empty list")):
        with pytest.raises(ValidationError, match=said):
            Strategy(trees=Ref("x"), n=n)
    clash = {"s": {"trees": Ref("x"), "n": [2]}, "s@2": {"trees": Ref("x")}}
    with pytest.raises(ValidationError, match="'s@2' would name two rows of the table"):
        EvaluateTreesConfig.model_validate({"problems": Ref("x"), "strategies": clash})


def test_only_the_draws_up_to_the_accepted_one_are_charged(bench: Bench) -> None:
    """One path of four is accepted, of 4 tokens each: the mean place of the first is 2.5 of 4; within two draws it is
    1.75 paths, and half of the pairs have none."""
    pool = bench.trees("pool", [POOL])
    until = {"uses": "first_accepted", "bar": 0.5}
    rows = table(bench, {"until": {"trees": pool, "vote": until}, "two": {"trees": pool, "vote": until, "n": 2}})
    whole, two = rows["until", "p0"], rows["two", "p0"]
    assert (whole["accuracy"], whole["coverage"], whole["calls"], whole["generated_tokens"]) == (1.0, 1.0, 2.5, 10.0)
    assert (two["accuracy"], two["coverage"], two["calls"], two["generated_tokens"]) == (0.5, 0.5, 1.75, 7.0)
    assert whole["scored_tokens"] == pytest.approx(6 * 2.5 / 4)


@pytest.mark.parametrize("rule", ["abstaining", "gated"])
def test_a_rule_that_reads_all_draws_is_charged_for_all(bench: Bench, rule: str) -> None:
    """The accepted answer has one of the three votes, a share that is known after the last draw only."""
    until = {"uses": "first_accepted", "bar": 0.5}
    inner = {"abstaining": {"vote": until, "bar": 0.3}, "gated": {"otherwise": until, "bar": 0.7}}[rule]
    [row] = table(bench, {"sure": {"trees": bench.trees("pool", [POOL]), "vote": {"uses": rule, **inner}}}).values()
    assert (row["accuracy"], row["coverage"], row["calls"], row["generated_tokens"]) == (1.0, 1.0, 4, 16)


def test_rollouts_of_a_scorer_are_calls(bench: Bench) -> None:
    """Twelve completions for four paths: smaller pools and early ends have their share of them."""
    pool = bench.trees("pool", [replace(POOL, requests=12)])
    until = {"uses": "first_accepted", "bar": 0.5}
    given = {"all": {"trees": pool}, "one": {"trees": pool, "n": 1}, "until": {"trees": pool, "vote": until}}
    assert [row["calls"] for row in table(bench, given).values()] == [12, 3, 7.5]


def test_a_bar_needs_scores_that_mean_the_same_everywhere(bench: Bench) -> None:
    by_score = {"uses": "abstaining", "vote": "argmax", "by": "score", "bar": 0.5}
    with pytest.raises(UserError, match="those of the tree of 'p0' mean something within one problem only .shares of"):
        table(bench, {"x": {"trees": bench.trees("pool", [POOL]), "vote": by_score}})
    ranked = bench.trees("ranked", [tree("p0", ("12", 1.0, 1, 0.5), scale="ranking")])
    with pytest.raises(UserError, match="within one problem only .scale 'ranking'"):
        table(bench, {"x": {"trees": ranked, "vote": {"uses": "filtered", "bar": 0.5}}})


def test_complexity_counts_the_steps_of_a_path(bench: Bench) -> None:
    """Two short paths say 8, one of three steps says 12. A vote by a measure that knows gold is marked."""
    problems = bench.problems("problems", [problem("p0")], task=CHAIN)
    nodes = [TreeNode(node=0, parent=-1, depth=0, text="Q", token_ids=(1,))]
    for text, answer, copies in (
        ("2 + 6 = 8\nAnswer: 8", "8", 2),
        ("1 + 1 = 2\n2 + 4 = 6\n6 + 6 = 12\nAnswer: 12", "12", 1),
    ):
        end = {"terminal": "answer", "answer": answer, "outcome": float(answer == "12")}
        drawn = {"votes": copies, "draws": copies, "weight": 0.3, "token_ids": tuple(range(len(text)))}
        nodes.append(TreeNode(node=len(nodes), parent=0, depth=1, text=text, **end, **drawn))
    grown = Tree(problem_id="p0", sample=0, nodes=tuple(nodes), scale="p", search="best_of_n", generated_tokens=9)
    pool = bench.trees("pool", [grown])
    rules: dict[str, Any] = {
        "most": "majority",
        "long": {"uses": "top_k", "k": 1},
        "short": {"uses": "top_k", "k": 1, "of": "fewest"},
        "tokens": {"uses": "top_k", "k": 1, "by": "tokens"},
        "gold": {"uses": "top_k", "k": 1, "by": "step_accuracy", "column": "exact_trace"},
    }
    strategies = {name: {"trees": pool, "vote": rule} for name, rule in rules.items()}
    made = bench.make("eval", "evaluate_trees", problems=problems, strategies=strategies)
    rows = {row["policy"]: row for row in rows_of(made)}
    assert {name: row["accuracy"] for name, row in rows.items() if name != "gold"} == {
        "most": 0.0,
        "long": 1.0,
        "short": 0.0,
        "tokens": 1.0,
    }
    assert [name for name, row in rows.items() if row["oracle"]] == ["gold"]
