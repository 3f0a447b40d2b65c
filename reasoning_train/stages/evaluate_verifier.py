"""`evaluate_verifier`: verifiers on sampled solutions of held-out problems: AUC, calibration, best of N against voting and chance."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from data_gen.records import Problem, Solution
from data_gen.scales import Scale, convert, convertible
from data_gen.scorers.head import Aggregate, aggregated
from reasoning_train.inputs import read_problems, read_solutions, with_solutions
from reasoning_train.recipe.refs import ModelRef, ProblemsRef, SolutionsRef, VerifierRef
from reasoning_train.recipe.rows import write_rows
from reasoning_train.stage_api import Context, StageConfig, gate, stage

if TYPE_CHECKING:
    from data_gen.format import StepCodec

MAJORITY, CHANCE, FIRST = "majority", "random distinct trace", "first sample"


class EvaluateVerifierConfig(StageConfig):
    """Which verifiers, on whose solutions."""

    verifiers: dict[str, VerifierRef] = Field(min_length=1)
    problems: ProblemsRef
    solutions: SolutionsRef
    """Several a problem, drawn from `policy` (stage `sample` on held-out problems)."""
    policy: ModelRef
    aggregate: Aggregate = "last"
    """How the values of a solution's steps become its score."""


@stage("evaluate_verifier", version=1, outputs={"table": "table"}, seeded=False)
def evaluate_verifier(config: EvaluateVerifierConfig, ctx: Context) -> None:
    """One row per (way to choose, problem) in the shape of `evaluate`, and each verifier's figures in the manifest.

    Differences are taken against the majority vote. `random distinct trace` is what a verifier that knows nothing would choose: FACTS of
    small models say that an undertrained one falls there.
    """
    from reasoning_train.evaluation.summary import summarise_rows, summary_table

    rows = _chosen_without(config, ctx)
    gate(bool(rows), f"evaluate_verifier: no problem of {config.problems} has verifiable solutions in {config.solutions}.")
    report = {}
    for name in config.verifiers:
        scored = list(_scored(name, config, ctx))
        report[name] = _figures(scored)
        rows += [_row(name, problem, solutions, _best(solutions, scores)) for problem, solutions, scores in scored]
    write_rows(ctx.output("table"), kind="table", rows=rows)
    summary = summarise_rows(rows, [MAJORITY, CHANCE, FIRST, *config.verifiers], [])
    ctx.count("out", summary["problems"])
    ctx.metric("verifiers", report)
    ctx.metric("summary", summary)
    ctx.metric("table", summary_table(summary))


def _pools(config: EvaluateVerifierConfig, ctx: Context) -> Iterator[tuple[Problem, list[Solution]]]:
    """Problems with those of their solutions that are verifiable; others are counted."""
    source = read_solutions(ctx.input(config.solutions))
    for problem, solutions in with_solutions(read_problems(ctx.input(config.problems)), source):
        known = [s for s in solutions if s.verdict in ("correct", "wrong")]
        if known:
            yield problem, known


def _codec(config: EvaluateVerifierConfig, ctx: Context) -> StepCodec:
    from reasoning_train.models.policy_text import load_policy_text

    return load_policy_text(ctx.input(config.policy).path).codec


def _scored(name: str, config: EvaluateVerifierConfig, ctx: Context) -> Iterator[tuple[Problem, Sequence[Solution], list[float]]]:
    """Scores as probabilities where the verifier's scale has them."""
    from data_gen.verifiers.checkpoint import load_verifier
    from reasoning_train.trainers.score import score_solutions

    verifier, codec = load_verifier(ctx.input(config.verifiers[name]).path), _codec(config, ctx)
    verifier.format.check_same_task(codec.format, f"verifier {name!r}", "the policy")
    scale = verifier.head.config.scale
    wanted = Scale.P if convertible(scale, Scale.P) else scale
    for done, (problem, solutions, values) in enumerate(score_solutions(verifier, codec, _pools(config, ctx)), 1):
        yield problem, solutions, [convert(aggregated(each, config.aggregate), scale, wanted) for each in values]
        ctx.progress(done, None)


def _figures(scored: Sequence[tuple[Problem, Sequence[Solution], list[float]]]) -> dict[str, Any]:
    """AUC within problems (mean over those that have both kinds, with its interval) and pooled; Brier and ECE of probabilities."""
    import numpy as np

    from reasoning_train.evaluation.metrics import bootstrap
    from reasoning_train.evaluation.ranking import auc, brier, calibration_error

    within = [a for _, solutions, scores in scored if (a := auc(scores, _right(solutions))) is not None]
    scores = list(itertools.chain.from_iterable(s for _, _, s in scored))
    right = list(itertools.chain.from_iterable(_right(solutions) for _, solutions, _ in scored))
    figures: dict[str, Any] = {"auc": auc(scores, right), "mixed_problems": len(within)}
    if within:
        estimate = bootstrap(np.array(within))
        figures["within_problem_auc"] = [estimate.value, estimate.low, estimate.high]
    if all(0 <= score <= 1 for score in scores):
        figures |= {"brier": brier(scores, right), "ece": calibration_error(scores, right)}
    return figures


def _right(solutions: Sequence[Solution]) -> list[bool]:
    return [s.verdict == "correct" for s in solutions]


def _best(solutions: Sequence[Solution], scores: Sequence[float]) -> list[int]:
    top = max(scores)
    return [i for i, score in enumerate(scores) if score == top]


def _chosen_without(config: EvaluateVerifierConfig, ctx: Context) -> list[dict[str, Any]]:
    """Rows of the ways to choose that need no verifier."""
    rows = []
    for problem, solutions in _pools(config, ctx):
        answers = [s.answer for s in solutions]
        most = max((answers.count(a) for a in answers if a is not None), default=0)
        leaders = sorted({a for a in answers if a is not None and answers.count(a) == most}, key=lambda a: _hash(problem.id, a))
        voted = [i for i, a in enumerate(answers) if leaders and a == leaders[0]] or list(range(len(answers)))
        rows.append(_row(MAJORITY, problem, solutions, voted[:1]))
        distinct = list({s.text: i for i, s in enumerate(solutions)}.values())
        rows.append(_row(CHANCE, problem, solutions, distinct))
        rows.append(_row(FIRST, problem, solutions, [0]))
    return rows


def _hash(problem: str, answer: str) -> bytes:
    return hashlib.blake2b(f"{problem}\x1f{answer}".encode()).digest()


def _row(name: str, problem: Problem, solutions: Sequence[Solution], among: Sequence[int]) -> dict[str, Any]:
    """The first of `among` is shown; accuracy is the mean over them. Tokens are those of the whole pool."""
    shown = solutions[among[0]]
    return {
        "policy": name,
        "problem_id": problem.id,
        "difficulty": problem.difficulty,
        "gold": problem.gold,
        "verdict": str(shown.verdict),
        "accuracy": sum(solutions[i].verdict == "correct" for i in among) / len(among),
        "steps_ok": None,
        "answer": shown.answer,
        "finish": shown.finish,
        "tokens": sum(len(s.token_ids) for s in solutions),
        "question": problem.question,
        "solution": shown.text,
        "sampled_answers": [s.answer for s in solutions],
        "sampled_correct": _right(solutions),
        "sampled_steps_ok": [bool(s.steps_ok) for s in solutions],
        "sampled_tokens": [len(s.token_ids) for s in solutions],
    }
