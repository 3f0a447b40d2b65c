"""`evaluate_verifier` through the worker: figures of verifiers and of log-probabilities, and what has a row."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch

from data_gen.records.solution import Solution
from data_gen.records.verdict import Verdict
from data_gen.verifiers.checkpoint import load_verifier
from reasoning_train.api.refs import Ref
from reasoning_train.stages.evaluate_verifier import EvaluateVerifierConfig
from reasoning_train.store.table_row import TableRow
from reasoning_train.trainers.score import mean_logprobs
from tests.reasoning_train.bench import CHAIN, Bench, problem, rows_of, solution
from tests.reasoning_train.stages.test_train_verifier import pool, searched, train


def test_a_trained_verifier_is_measured_and_calibrated(kitchen: Bench) -> None:
    train(kitchen)
    pool(kitchen)
    given = {"problems": Ref("questions"), "solutions": Ref("pool"), "policy": Ref("model")}
    kitchen.make("calibrated", "calibrate", verifier=Ref("verifier"), min_rows=4, **given)
    isotonic = kitchen.make("isotonic", "calibrate", verifier=Ref("verifier"), min_rows=4, method="isotonic", **given)
    assert (
        isotonic.manifest["metrics"]["fit"]["brier_on_fitted"]
        <= kitchen.store.open(kitchen.nodes["calibrated"]).manifest["metrics"]["fit"]["brier_on_fitted"]
    )
    head = load_verifier(isotonic.path / "verifier").head
    assert head.config.activation == "isotonic" and head.activate(torch.tensor([-99.0, 99.0])).tolist() == [
        pytest.approx(head.config.knots[0][1]),
        pytest.approx(head.config.knots[-1][1]),
    ]
    searched(kitchen, "calibrated")
    artifact = kitchen.make(
        "measured", "evaluate_verifier", verifiers={"raw": Ref("verifier"), "p": Ref("calibrated")}, **given
    )
    figures = artifact.manifest["metrics"]["verifiers"]
    assert figures["raw"]["AUC within"] == figures["p"]["AUC within"]
    assert figures["raw"]["AUC within"][0] >= 0.5  # 9 was seen to be wrong, 7 never
    rows = rows_of(artifact)
    length = {row["policy"]: row["generated_tokens"] for row in rows if row["problem_id"] == "p0"}
    assert length["majority"] == 4 * length["first sample"] == length["raw"]
    assert [row["scored_tokens"] > row["generated_tokens"] for row in rows if row["policy"] == "raw"] == [True] * 6
    columns, table = artifact.manifest["metrics"]["table"]["columns"], artifact.manifest["metrics"]["table"]["rows"]
    assert columns[-4:] == ["AUC within", "AUC pooled", "Brier", "ECE"]
    assert [row[-1] != "" for row in table] == [False, False, False, True, True]
    assert {row["policy"] for row in rows} == {"majority", "random distinct trace", "first sample", "raw", "p"}
    by_chance = [row["accuracy"] for row in rows if row["policy"] == "random distinct trace"]
    assert by_chance == pytest.approx([1 / 3] * 6)
    assert [row["accuracy"] for row in rows if row["policy"] == "majority"] == [1.0] * 6


def test_a_chosen_pool_is_measured_as_the_pool_itself(kitchen: Bench) -> None:
    pool(kitchen)
    given: dict[str, Any] = {
        "problems": Ref("questions"),
        "policy": Ref("model"),
        "likelihoods": {"self": Ref("model")},
    }
    own = kitchen.make("own", "evaluate_verifier", solutions=Ref("pool"), **given)
    kitchen.make("best", "choose", policies={"warm": Ref("pool")}, table={"warm": Ref("own")}, row="self")
    chosen = kitchen.make("chosen", "evaluate_verifier", solutions=Ref("best"), **given)
    assert rows_of(chosen) == rows_of(own)


def test_policies_are_measured_by_their_log_probabilities(kitchen: Bench) -> None:
    """Against a plain forward pass; they are no probabilities of being right, so there is no Brier score."""
    pool(kitchen)
    given: dict[str, Any] = {"problems": Ref("questions"), "solutions": Ref("pool"), "policy": Ref("model")}
    more = {"likelihoods": {"plain": Ref("model")}, "votes": ["argmax", "weighted"], "n": [1, 2, 4]}
    artifact = kitchen.make("measured", "evaluate_verifier", **more, **given)
    model, scores = kitchen.policy().model, dict[str, list[tuple[float, bool]]]()
    for row in rows_of(kitchen.store.open(kitchen.nodes["pool"])):
        drawn = Solution.from_row(row)
        with torch.no_grad():
            logprobs = model(torch.tensor([[*drawn.prompt_ids, *drawn.token_ids]])).logits[0].log_softmax(-1)
        start = len(drawn.prompt_ids)
        own = [float(logprobs[start + i - 1, token]) for i, token in enumerate(drawn.token_ids)]
        scores.setdefault(drawn.problem_id, []).append((sum(own) / len(own), drawn.verdict is Verdict.CORRECT))
    rows = {(row["policy"], row["problem_id"]): row["accuracy"] for row in rows_of(artifact)}
    costs = {(row["policy"], row["problem_id"]): row["tokens"] for row in rows_of(artifact)}
    for name, known in scores.items():
        assert rows["plain", name] == float(max(known)[1])
        assert rows["plain@4", name] == rows["plain", name] and rows["plain@1", name] == 0.5
        pairs = [float(max(two)[1]) for two in itertools.combinations(known, 2)]
        assert rows["plain@2", name] == pytest.approx(sum(pairs) / 6)
        assert rows["majority@4", name] == rows["plain, weighted@4", name] == 1.0
        # Of six pairs one holds two right answers and one none; the other four are one to one.
        assert rows["majority@2", name] == pytest.approx((1 + 4 * 0.5) / 6)
        assert costs["plain@2", name] == costs["plain", name] / 2
        # two samples against one and one: scores differ by less than their number
        assert rows["plain, weighted", name] == 1.0
    within = [
        sum(a > b for a, right in known if right for b, wrong in known if not wrong) / 4 for known in scores.values()
    ]
    figures = artifact.manifest["metrics"]["verifiers"]["plain"]
    bare = solution("p0", "", segments=(), prompt_ids=(3, 4), answer=None, finish="length")
    folder, asked = kitchen.store.open(kitchen.nodes["model"]).path / "model", [(problem("p0"), [bare])]
    assert [values for *_, values in mean_logprobs(folder, kitchen.policy().codec, asked)] == [[-math.inf]]
    assert figures.keys() == {"AUC within", "AUC pooled"} and figures["AUC within"][0] == pytest.approx(
        sum(within) / len(within)
    )


def test_measures_of_the_task_are_columns(kitchen: Bench) -> None:
    """One step and an answer line each, of the first two problems."""
    pool(kitchen)
    given = {"problems": Ref("questions"), "solutions": Ref("pool"), "policy": Ref("model")}
    columns = {"": {"measures": ["steps"]}}
    made = kitchen.make(
        "by_columns", "evaluate_verifier", likelihoods={"lm": Ref("model")}, columns=columns, limit=2, **given
    )
    found = [TableRow.from_row(row) for row in rows_of(made)]
    assert {row.problem_id for row in found} == {"p0", "p1"}
    shown = [row.measures for row in found if row.solution]
    assert shown == [{"steps": 1.0}] * len(shown) and len(shown) >= 6
    assert "steps ↓" in made.manifest["metrics"]["table"]["columns"]


def test_problems_without_solutions_are_counted(kitchen: Bench) -> None:
    pool(kitchen)
    kitchen.problems("seven", [problem(f"p{i}", f"Ana has {i + 1}.", gold="2") for i in range(7)], CHAIN)
    given = {"problems": Ref("seven"), "solutions": Ref("pool"), "policy": Ref("model")}
    made = kitchen.make("of_six", "evaluate_verifier", likelihoods={"lm": Ref("model")}, **given)
    assert made.manifest["counts"] == {"dropped.no_solutions": 1, "out": 6}


def test_who_is_measured_has_one_name() -> None:
    given: dict[str, Any] = {"problems": Ref("p"), "solutions": Ref("s"), "policy": Ref("m")}
    with pytest.raises(ValueError, match="give at least one of `verifiers` and `likelihoods`"):
        EvaluateVerifierConfig(**given)
    with pytest.raises(ValueError, match=r"verifiers, likelihoods: 'a' would name two rows of the table"):
        EvaluateVerifierConfig(verifiers={"a": Ref("v")}, likelihoods={"a": Ref("m")}, **given)
    with pytest.raises(ValueError, match=r"'majority' would name two rows"):
        EvaluateVerifierConfig(likelihoods={"majority": Ref("m")}, **given)
    twice = {"a": Ref("v"), "a, weighted": Ref("v")}
    with pytest.raises(ValueError, match=r"'a, weighted' would name two rows"):
        EvaluateVerifierConfig(verifiers=twice, votes=["argmax", "weighted"], **given)
    with pytest.raises(ValueError, match=r"votes: `score: min` has no meaning here; `aggregate` says how"):
        EvaluateVerifierConfig(verifiers={"a": Ref("v")}, votes=[{"uses": "argmax", "score": "min"}], **given)
