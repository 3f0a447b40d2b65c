"""Every table that votes counts answers by what they mean: three spellings of the right one outvote a wrong one said
twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from data_gen.programs.running import FinishedRun
from data_gen.programs.solve import Solve
from data_gen.records.solution import Solution
from data_gen.records.verdict import Verdict
from data_gen.tasks.chain import Chain
from reasoning_train.api.refs import Ref
from reasoning_train.evaluation.program_rows import EvaluatedRuns
from reasoning_train.evaluation.summary import row_metrics
from tests.reasoning_train.bench import CHAIN, Bench, problem, rows_of, solution
from tests.reasoning_train.stages.test_evaluate_trees import tree
from tests.reasoning_train.stages.test_train_verifier import pool

VALUES = {**CHAIN, "grader": "auto"}
SAID = ("2", "2.0", "4/2", "7", "7")


def test_majorities_of_evaluate() -> None:
    drawn = [solution("p0", "", answer=said, verdict="wrong" if said == "7" else "correct") for said in SAID]
    runs = [FinishedRun((one,), 0, {}) for one in drawn]
    found = EvaluatedRuns(problem("p0", gold="2"), runs[0], runs, Chain.model_validate(VALUES), Solve())
    row = found.row("base", None)
    assert row.sampled_classes == (0, 0, 0, 1, 1)
    assert row_metrics(row, [5])["maj@5"] == 1.0


def test_votes_of_evaluate_trees(bench: Bench) -> None:
    asked = bench.problems("problems", [problem("p0", gold="2")], VALUES)
    found = bench.trees("pool", [tree("p0", *((said, float(said != "7"), 1, 0.2) for said in SAID))])
    strategies = {vote: {"trees": found, "vote": vote} for vote in ("majority", "weighted")}
    made = bench.make("eval", "evaluate_trees", problems=asked, strategies=strategies)
    assert {row["policy"]: row["accuracy"] for row in rows_of(made)} == {"majority": 1.0, "weighted": 1.0}


def test_votes_of_evaluate_verifier(kitchen: Bench) -> None:
    pool(kitchen)
    asked = kitchen.problems("asked", [problem("p0", "Ana has 1.", gold="2")], VALUES)
    [right, wrong, *_] = (Solution.from_row(row) for row in rows_of(kitchen.store.open(kitchen.nodes["pool"])))
    assert (right.verdict, wrong.verdict) == (Verdict.CORRECT, Verdict.WRONG)
    drawn = [replace(wrong if said == "7" else right, sample=i, answer=said) for i, said in enumerate(SAID)]
    given: dict[str, Any] = {"problems": asked, "solutions": kitchen.solutions("drawn", drawn), "policy": Ref("model")}
    made = kitchen.make("measured", "evaluate_verifier", likelihoods={"lm": Ref("model")}, **given)
    [majority] = (row for row in rows_of(made) if row["policy"] == "majority")
    assert (majority["accuracy"], majority["sampled_classes"]) == (1.0, [0, 0, 0, 1, 1])
