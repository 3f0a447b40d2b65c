"""`evaluate_verifier`: verifiers on sampled solutions of held-out problems: AUC, calibration, best of N against voting
and chance."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Union

from pydantic import model_validator

from data_gen.records.problem import Problem
from data_gen.records.scales import Scale, convert, convertible
from data_gen.records.solution import Solution
from data_gen.scorers.head import Aggregate, aggregated
from data_gen.search.vote import Ballot, as_weight, elect
from reasoning_train.api.refs import ModelRef, ProblemsRef, SolutionsRef, VerifierRef
from reasoning_train.api.stage import Context, Made, StageConfig, gate, stage
from reasoning_train.stages.fits import aggregate_misfit, heads, other_problems
from reasoning_train.store.inputs import read_problems, read_solutions, with_solutions
from reasoning_train.store.rows import write_rows

if TYPE_CHECKING:
    from data_gen.format import StepCodec
    from reasoning_train.evaluation.intervals import Estimate

MAJORITY, CHANCE, FIRST, WEIGHTED = "majority", "random distinct trace", "first sample", "weighted vote"


class EvaluateVerifierConfig(StageConfig):
    """Which verifiers, on whose solutions."""

    verifiers: dict[str, VerifierRef] = {}
    likelihoods: dict[str, ModelRef] = {}
    """Policies whose mean log-probability of a solution is its score (Math-Rev, arXiv 2410.05318): one that `dpo` with
    `losses: [simpo]` has tuned for it, or the policy itself. At least one of `verifiers` and `likelihoods`."""
    problems: ProblemsRef
    solutions: SolutionsRef
    """Several a problem, drawn from `policy` (stage `sample` on held-out problems)."""
    policy: ModelRef
    aggregate: Aggregate = "last"
    """How the values of a solution's steps become a verifier's score."""
    weighted_vote: bool = False
    """Also the answer of the greatest summed probability (arXiv 2408.03314), of rankings of their exp, beside the best
    solution."""

    @model_validator(mode="after")
    def _named_once(self) -> EvaluateVerifierConfig:
        if not self.verifiers and not self.likelihoods:
            raise ValueError("evaluate_verifier: give at least one of `verifiers` and `likelihoods`")
        if twice := sorted(name for name, n in Counter(self.row_names).items() if n > 1):
            raise ValueError(
                f"verifiers, likelihoods: {twice[0]!r} would name two rows of the table; give one of them another name"
            )
        return self

    @property
    def names(self) -> list[str]:
        """Names of all that score solutions."""
        return [*self.verifiers, *self.likelihoods]

    @property
    def row_names(self) -> list[str]:
        """Rows of the table, in order."""
        scored = [[name, f"{name}, {WEIGHTED}"] if self.weighted_vote else [name] for name in self.names]
        return [MAJORITY, CHANCE, FIRST, *itertools.chain(*scored)]


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A solution, by its number in the pool, as votes see it."""

    number: int
    answer: str | None
    outcome: float


@dataclass(frozen=True, slots=True)
class _Scored:
    """The solutions of one problem with a score each."""

    problem: Problem
    pool: list[Solution]
    scores: list[float]
    scale: Scale
    """P where the verifier's scale converts."""

    @property
    def weights(self) -> list[float]:
        """What each solution weighs in a vote: P(right), or exp of a ranking, which says how far it is behind the
        best."""
        top = max(self.scores) if self.scale is Scale.RANKING else 0.0
        return [as_weight(score - top, self.scale) for score in self.scores]


@stage("evaluate_verifier", version=3, outputs={"table": "table"}, seeded=False, scores=True)
def evaluate_verifier(config: EvaluateVerifierConfig, ctx: Context) -> None:
    """One row per (way to choose, problem) in the shape of `evaluate`; each verifier's figures stand beside the
    accuracies.

    Differences are taken against the majority vote. `random distinct trace` is what a verifier that knows nothing would
    choose. Tokens are those that a way of choosing needs: the solutions that were drawn, and what the verifier reads.
    """
    from reasoning_train.evaluation.summary import summarise_rows, summary_table

    rows = [row for problem, pool in _pools(config, ctx, count=True) for row in _without_verifier(problem, pool)]
    gate(
        bool(rows),
        f"evaluate_verifier: no problem of {config.problems} has verifiable solutions in {config.solutions}.",
    )
    figures = {}
    for name in config.names:
        scored = list(_scored(name, config, ctx))
        figures[name] = _figures(scored)
        rows += [_best(name, one) for one in scored]
        if config.weighted_vote:
            rows += [_elected(f"{name}, {WEIGHTED}", one) for one in scored]
    write_rows(ctx.output("table"), kind="table", rows=rows)
    summary = summarise_rows(rows, config.row_names, [])
    ctx.count("out", summary["problems"])
    ctx.metric(
        "verifiers", {name: {m: _numbers(figure) for m, figure in found.items()} for name, found in figures.items()}
    )
    ctx.metric("summary", summary)
    ctx.metric("table", _with_figures(summary_table(summary), figures))


@evaluate_verifier.check
def fits(config: EvaluateVerifierConfig, made: Made) -> Iterator[tuple[str, str]]:
    """Values of steps go together as asked; the solutions are of these problems."""
    for name, verifier in config.verifiers.items():
        for _, head in heads(made, verifier):
            if head and (said := aggregate_misfit(config.aggregate, head)):
                yield f"verifiers.{name}", said
    for said in other_problems(made, config.solutions, config.problems):
        yield "solutions", said


def _pools(
    config: EvaluateVerifierConfig, ctx: Context, *, count: bool = False
) -> Iterator[tuple[Problem, list[Solution]]]:
    """Problems with those of their solutions that are verifiable; the others are counted."""
    source = read_solutions(ctx.input(config.solutions))
    for problem, solutions in with_solutions(read_problems(ctx.input(config.problems)), source):
        known = [s for s in solutions if s.verdict in ("correct", "wrong")]
        if count and len(known) < len(solutions):
            ctx.count("dropped.unverifiable", len(solutions) - len(known))
        if known:
            yield problem, known


def _scored(name: str, config: EvaluateVerifierConfig, ctx: Context) -> Iterator[_Scored]:
    """Scores as probabilities where the verifier's scale has them."""
    from reasoning_train.models.policy_text import load_policy_text

    codec, pools = load_policy_text(ctx.input(config.policy).path).codec, _pools(config, ctx)
    found = (
        _by_head(name, config, ctx, codec, pools)
        if name in config.verifiers
        else _by_likelihood(name, config, ctx, codec, pools)
    )
    for done, (problem, pool, scores, scale) in enumerate(found, 1):
        yield _Scored(problem, pool, scores, scale)
        ctx.progress(done, None)


Figure = Union["Estimate", float]
"""A number of a verifier, with its interval where one covers."""
Pools = Iterator[tuple[Problem, list[Solution]]]
Found = Iterator[tuple[Problem, list[Solution], list[float], Scale]]


def _by_head(name: str, config: EvaluateVerifierConfig, ctx: Context, codec: StepCodec, pools: Pools) -> Found:
    from data_gen.verifiers.checkpoint import load_verifier
    from reasoning_train.trainers.score import score_solutions

    verifier = load_verifier(ctx.input(config.verifiers[name]).path)
    verifier.format.check_same_task(codec.format, f"verifier {name!r}", "the policy")
    scale = verifier.head.config.scale
    wanted = Scale.P if convertible(scale, Scale.P) else scale
    for problem, solutions, values in score_solutions(verifier, codec, pools):
        yield (
            problem,
            solutions,
            [convert(aggregated(each, config.aggregate), scale, wanted) for each in values],
            wanted,
        )


def _by_likelihood(name: str, config: EvaluateVerifierConfig, ctx: Context, codec: StepCodec, pools: Pools) -> Found:
    from reasoning_train.trainers.score import mean_logprobs

    for problem, solutions, values in mean_logprobs(ctx.input(config.likelihoods[name]).path, codec, pools):
        yield problem, solutions, values, Scale.RANKING


def _figures(scored: list[_Scored]) -> dict[str, Figure]:
    """AUC within problems (mean over those that have both kinds) and pooled; Brier score and debiased calibration error
    of probabilities."""
    import numpy as np

    from reasoning_train.evaluation.intervals import interval
    from reasoning_train.evaluation.names import SHARE
    from reasoning_train.evaluation.ranking import auc, brier, debiased_calibration_error, resampled

    scores, right = [one.scores for one in scored], [_right(one.pool) for one in scored]
    within = [a for s, r in zip(scores, right, strict=True) if (a := auc(s, r)) is not None]
    figures: dict[str, Figure | None] = {
        "AUC within": interval(np.array(within), SHARE) if within else None,
        "AUC pooled": resampled(auc, scores, right),
    }
    if all(one.scale is Scale.P for one in scored):
        figures |= {"Brier": resampled(brier, scores, right), "ECE": debiased_calibration_error(scores, right)}
    return {name: figure for name, figure in figures.items() if figure is not None}


def _with_figures(table: dict[str, Any], figures: dict[str, dict[str, Figure]]) -> dict[str, Any]:
    """The table with a column for every figure, empty where there is no verifier."""
    names = list(dict.fromkeys(name for found in figures.values() for name in found))
    rows = [
        [*row, *(_shown(found[n]) if (found := figures.get(row[0], {})) and n in found else "" for n in names)]
        for row in table["rows"]
    ]
    return {**table, "columns": [*table["columns"], *names], "rows": rows}


def _numbers(figure: Figure) -> list[float]:
    """[value, low, high], or [value] where there is no interval that covers."""
    return [figure] if isinstance(figure, float) else [figure.value, figure.low, figure.high]


def _shown(figure: Figure) -> str:
    return f"{100 * figure:.1f}" if isinstance(figure, float) else figure.percent()


def _right(solutions: Sequence[Solution]) -> list[bool]:
    return [s.verdict == "correct" for s in solutions]


def _best(name: str, one: _Scored) -> dict[str, Any]:
    """The row of the solutions of the best score."""
    top = max(one.scores)
    return _row(
        name,
        "best score",
        one.problem,
        one.pool,
        [i for i, score in enumerate(one.scores) if score == top],
        drawn=one.pool,
        read=one.pool,
    )


def _elected(name: str, one: _Scored) -> dict[str, Any]:
    """The row of the answer that has the greatest sum of weights: answers are compared as texts, as the majority's
    are."""
    cast = [
        Ballot(_Candidate(i, solution.answer, float(solution.verdict == "correct")), 1, weight)
        for i, (solution, weight) in enumerate(zip(one.pool, one.weights, strict=True))
        if solution.answer is not None
    ]
    vote = elect(cast, "weighted", str.__eq__, one.problem.id)
    shown = vote.leaf.number if vote.leaf else 0
    return _row(name, WEIGHTED, one.problem, one.pool, [shown], drawn=one.pool, read=one.pool) | {
        "accuracy": vote.accuracy
    }


def _without_verifier(problem: Problem, pool: list[Solution]) -> Iterator[dict[str, Any]]:
    """Rows of the ways to choose that need no verifier."""
    from reasoning_train.evaluation.metrics import majority, majority_is_correct

    answers, right = [s.answer for s in pool], _right(pool)
    voted = majority(answers, len(answers), problem.id)
    among = [i for i, answer in enumerate(answers) if answer == voted]
    yield _row(MAJORITY, "majority vote", problem, pool, among[:1], drawn=pool) | {
        "accuracy": majority_is_correct(answers, right, len(answers), problem.id)
    }
    yield _row(CHANCE, "chance", problem, pool, list({s.text: i for i, s in enumerate(pool)}.values()), drawn=pool)
    yield _row(FIRST, "one sample", problem, pool, [0], drawn=pool[:1])


def _row(
    name: str,
    strategy: str,
    problem: Problem,
    pool: list[Solution],
    among: list[int],
    *,
    drawn: list[Solution],
    read: Sequence[Solution] = (),
) -> dict[str, Any]:
    """The first of `among` is shown; accuracy is the mean over them. `read`: solutions that a verifier read, prompts
    included."""
    shown = pool[among[0]]
    generated, scored = sum(len(s.token_ids) for s in drawn), sum(len(s.prompt_ids) + len(s.token_ids) for s in read)
    return {
        "policy": name,
        "strategy": strategy,
        "problem_id": problem.id,
        "difficulty": problem.difficulty,
        "gold": problem.gold,
        "verdict": str(shown.verdict),
        "accuracy": sum(pool[i].verdict == "correct" for i in among) / len(among),
        "cut": sum(s.finish == "length" for s in drawn) / len(drawn),
        "steps_ok": None,
        "answer": shown.answer,
        "finish": shown.finish,
        "tokens": generated + scored,
        "generated_tokens": generated,
        "scored_tokens": scored,
        "question": problem.question,
        "solution": shown.text,
        "sampled_answers": [s.answer for s in pool],
        "sampled_correct": _right(pool),
        "sampled_steps_ok": [bool(s.steps_ok) for s in pool],
        "sampled_tokens": [len(s.token_ids) for s in pool],
    }
