"""Stages that train, or read what was trained: ten steps of the micro model on rows by hand."""

from __future__ import annotations

import itertools
from typing import Any

from reasoning_train.api.refs import Ref
from reasoning_train.store.store import Artifact
from tests.known_answers.cases import Settings, case
from tests.known_answers.kitchen import bench, counts, curve, fresh, make, metrics, points, rows
from tests.known_answers.rounding import single
from tests.reasoning_train.bench import rows_of
from tests.reasoning_train.stages import test_dpo, test_train_verifier

TRAINING: dict[str, Any] = {"policy": Ref("model"), "learning_rate": 0.003, "batch_size": 4, "max_steps": 10}


def trained(artifact: Artifact) -> dict[str, Any]:
    """Loss and what stands beside it, step by step."""
    return {"curve": curve(artifact), "counts": counts(artifact)}


@case("stage", "sft")
def sft() -> Any:
    """Cross-entropy on worked solutions; without loss on steps; to a number of tokens, on rows of unequal weight."""
    unlimited = {name: value for name, value in TRAINING.items() if name != "max_steps"}
    made = [
        make("sft", data=Ref("gold"), **TRAINING),
        make("sft", data=Ref("gold"), masked=["step"], **TRAINING),
        make("sft", data=weighted(), max_trained_tokens=720, **unlimited),
    ]
    return Settings(map(trained, made))


def weighted() -> Ref:
    """The worked solutions with the weights 1, 0.25, 1, 0.25, ..."""
    worked = rows_of(bench().store.open(bench().nodes["gold"]))
    made = [{**row, "weight": 0.25 if i % 2 else 1.0} for i, row in enumerate(worked)]
    return bench().given(fresh("weighted"), "t_solutions", made)


def given_pairs() -> Ref:
    """Right against wrong sums."""
    made = [pair.to_row() for pair in test_dpo.pairs(bench(), 8)]
    return bench().given(fresh("pairs"), "t_pairs", made)


@case("stage", "reference")
def reference() -> Any:
    """Log-probabilities of both sides under the policy."""
    made = make("reference", pairs=given_pairs(), policy=Ref("half"))
    return [rows(made, "chosen", "rejected", "reference_chosen", "reference_rejected"), counts(made)]


@case("stage", "dpo")
def dpo() -> Any:
    """DPO with the labels' own smoothing."""
    name = fresh("known")
    bench().make(name, "reference", pairs=given_pairs(), policy=Ref("model"))
    return trained(make("dpo", pairs=Ref(name), **TRAINING))


def given_targets() -> Ref:
    """Right and wrong solutions, labelled at every step."""
    made = [row.to_row() for row in test_train_verifier.targets(bench(), 8)]
    return bench().given(fresh("targets"), "t_targets", made)


@case("stage", "train_verifier")
def train_verifier() -> Any:
    """A head on the policy, at the ends of steps."""
    return trained(make("train_verifier", targets=given_targets(), **TRAINING))


def given_pool() -> dict[str, Ref]:
    """Right and wrong solutions of six questions."""
    if "pool" not in bench().nodes:
        test_train_verifier.pool(bench())
        test_train_verifier.train(bench(), name="judge")
    return {"problems": Ref("questions"), "solutions": Ref("pool"), "policy": Ref("model")}


@case("stage", "evaluate_verifier")
def evaluate_verifier() -> Any:
    """Best-of-n by a verifier and by the policy's own log-probabilities."""
    pool = given_pool()
    settings = {"votes": ["argmax", "weighted"], "n": [2]}
    made = make("evaluate_verifier", verifiers={"v": Ref("judge")}, likelihoods={"p": Ref("half")}, **settings, **pool)
    return [rows(made, "policy", "problem_id", "accuracy"), metrics(made, "summary", "verifiers")]


@case("stage", "calibrate")
def calibrate() -> Any:
    """Gain and offset of a verifier, by both methods."""
    pool = given_pool()
    made = [
        make("calibrate", verifier=Ref("judge"), min_rows=4, method=method, **pool) for method in ("platt", "isotonic")
    ]
    return Settings(metrics(artifact, "fit") for artifact in made)


@case("stage", "grpo")
def grpo() -> Any:
    """Two steps over a policy that solves some of its problems; RLOO with and without the deviation of the batch, which
    the norm of the gradient shows: Adam's steps do not."""
    settings = {"learning_rate": 6e-4, "batch_size": 16, "n": 8, "max_steps": 2, "max_tokens": 24}
    losses: list[dict[str, Any]] = [{}, {"loss": "rloo"}, {"loss": "rloo", "divide_by_std": True}]
    made = [make("grpo", policy=Ref("half"), problems=Ref("gold.problems"), **settings, **more) for more in losses]
    outcomes = [{**trained(one), "first gradient": points(one)[0]["grad_norm"]} for one in made]
    for point in itertools.chain(*(one["curve"] for one in outcomes)):
        point["kl"] = round(point["kl"], 6)  # exp(d) - d - 1 of a small d: single precision leaves few digits
    return Settings(map(single, outcomes))


@case("stage", "soften")
def soften() -> Any:
    """The two likeliest tokens of another policy along solutions of the first."""
    problems = Ref("gold.problems")
    drawn = fresh("drawn")
    bench().make(drawn, "sample", policy=Ref("half"), problems=problems, n=1, max_tokens=24)
    made = make("soften", data=Ref(drawn), policy=Ref("model"), k=2)
    return [rows(made, "teacher_ids", "teacher_logprobs")[:2], counts(made)]
