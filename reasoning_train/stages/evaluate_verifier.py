"""`evaluate_verifier`: AUC, calibration and best of N of verifiers on sampled solutions of held-out problems."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import Field, model_validator

from data_gen.records.problem import Problem
from data_gen.records.scales import Scale, as_weight, convert, convertible
from data_gen.records.solution import Solution
from data_gen.scorers.head import Aggregate, aggregated
from data_gen.search.votes import VOTES, Ballot, Same, Vote, elect
from data_gen.search.votes.argmax import Argmax
from data_gen.search.votes.majority import Majority
from data_gen.search.votes.subsets import elect_among
from reasoning_train.api.refs import ModelRef, ProblemsRef, SolutionsRef, VerifierRef
from reasoning_train.api.stage import Context, Made, StageConfig, gate, stage
from reasoning_train.evaluation.groups import Where, count_asked
from reasoning_train.evaluation.groups import fits as suits
from reasoning_train.evaluation.verifiable import MOST_UNVERIFIABLE, MaxUnverifiable, check_verifiable
from reasoning_train.stages.fits import aggregate_misfit, heads, other_problems
from reasoning_train.store.inputs import load_task, read_problems, read_solutions, with_solutions
from reasoning_train.store.rows import write_rows

if TYPE_CHECKING:
    from data_gen.format import StepCodec
    from reasoning_train.evaluation.intervals import Estimate

    AnyVote = Vote
else:
    AnyVote = VOTES.union()

MAJORITY, CHANCE, FIRST = "majority", "random distinct trace", "first sample"


class EvaluateVerifierConfig(StageConfig):
    """Which verifiers are evaluated, and on which solutions."""

    verifiers: dict[str, VerifierRef] = {}
    likelihoods: dict[str, ModelRef] = {}
    """Policies whose mean log-probability of a solution is its score (Math-Rev, arXiv 2410.05318): a policy trained for
    it by `dpo` with `losses: [simpo]`, or the policy itself. Give at least one of `verifiers` and `likelihoods`."""
    problems: ProblemsRef
    solutions: SolutionsRef
    """Several solutions per problem, sampled from `policy` (stage `sample` on held-out problems)."""
    policy: ModelRef
    by: list[str] = []
    """Tags of problems, or `difficulty`. Each adds a table with every row's metrics per group."""
    where: Where = {}
    """Only problems with these tags: `{subject: algebra, difficulty: [4, 5]}`."""
    aggregate: Aggregate = "last"
    """How the values of a solution's steps are combined into a verifier's score."""
    max_unverifiable: MaxUnverifiable = MOST_UNVERIFIABLE
    """Largest share of problems whose gold may be missing or unreadable. Such problems are left out and counted; above
    this share the stage stops."""
    votes: list[AnyVote] = Field([Argmax()], min_length=1)
    """How scores choose an answer: `[argmax, weighted]`. Every verifier has a row per vote. The weight of a solution is
    its probability, or exp of its score for rankings. The row of `argmax` has the verifier's name, others are `NAME,
    VOTE`."""
    n: Annotated[int, Field(ge=1)] | list[Annotated[int, Field(ge=1)]] = []
    """Sizes of smaller pools to evaluate without sampling again. Each n adds rows `NAME@n`: the mean over all subsets
    of n solutions of a problem (over 64 random subsets if the vote has no closed form), with n / pool size of the
    tokens."""

    @model_validator(mode="after")
    def _named_once(self) -> EvaluateVerifierConfig:
        if not self.verifiers and not self.likelihoods:
            raise ValueError("evaluate_verifier: give at least one of `verifiers` and `likelihoods`")
        if named := [vote.counted for vote in self.votes if vote.counted != "search"]:
            raise ValueError(
                f"votes: `score: {named[0]}` means nothing here; how the values of steps become a score is `aggregate`"
            )
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
        whole = [voted(name, vote) for name in self.names for vote in self.votes]
        return [MAJORITY, CHANCE, FIRST, *whole, *(f"{name}@{n}" for n in self.pools for name in [MAJORITY, *whole])]

    @property
    def pools(self) -> list[int]:
        """Sizes of the smaller pools, in order."""
        return [self.n] if isinstance(self.n, int) else sorted(set(self.n))


def voted(name: str, vote: Vote) -> str:
    """The row of a verifier under a vote."""
    return name if vote.uses == "argmax" else f"{name}, {vote.uses}"


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A solution as votes see it, identified by its number in the pool."""

    number: int
    answer: str | None
    outcome: float


@dataclass(frozen=True, slots=True)
class _Scored:
    """The solutions of one problem, each with a score."""

    problem: Problem
    pool: list[Solution]
    scores: list[float]
    scale: Scale
    """P if the verifier's scale converts to it."""

    @property
    def weights(self) -> list[float]:
        """Weight of each solution in a vote: P(right), or for rankings exp of the score minus the best score."""
        top = max(self.scores) if self.scale is Scale.RANKING else 0.0
        return [as_weight(score - top if score > -math.inf else score, self.scale) for score in self.scores]


@stage("evaluate_verifier", version=3, outputs={"table": "table"}, seeded=False, scores=True, always=(Majority,))
def evaluate_verifier(config: EvaluateVerifierConfig, ctx: Context) -> None:
    """One row per (way to choose, problem), with the columns of `evaluate`. Each verifier's figures are shown beside
    the accuracies.

    Differences are taken against the majority vote. `random distinct trace` is the expected choice of an uninformed
    verifier. Tokens count what a way of choosing needs: the sampled solutions, and what the verifier reads.
    """
    from reasoning_train.evaluation.summary import summarise_rows
    from reasoning_train.evaluation.tables import group_tables, summary_table
    from reasoning_train.evaluation.votes import same_answer

    count_asked(read_problems(ctx.input(config.problems)), config.by, config.where)
    task, seen = load_task(ctx.input(config.problems)), Counter[str]()
    rows, same = list[dict[str, Any]](), dict[str, Same]()
    for problem, pool in _pools(config, ctx, seen):
        same[problem.id] = same_answer(task, problem)
        rows += _without_verifier(problem, pool, same[problem.id])
        rows += [_by_majority(problem, pool, same[problem.id], n) for n in config.pools]
    check_verifiable("evaluate_verifier", ctx, seen["unverifiable"], seen["problems"], config.max_unverifiable)
    gate(
        bool(rows),
        f"evaluate_verifier: no problem of {config.problems} has verifiable solutions in {config.solutions}.",
    )
    figures = {}
    for name in config.names:
        scored = list(_scored(name, config, ctx))
        figures[name] = _figures(scored)
        rows += [
            _elected(name, vote, one, same[one.problem.id], n)
            for n in (None, *config.pools)
            for vote in config.votes
            for one in scored
        ]
    write_rows(ctx.output("table"), kind="table", rows=rows)
    summary = summarise_rows(rows, config.row_names, [], by=config.by)
    ctx.count("out", summary["problems"])
    ctx.metric(
        "verifiers", {name: {m: _numbers(figure) for m, figure in found.items()} for name, found in figures.items()}
    )
    ctx.metric("summary", summary)
    ctx.metric("table", _with_figures(summary_table(summary), figures))
    ctx.metric("by", group_tables(summary))


@evaluate_verifier.check
def fits(config: EvaluateVerifierConfig, made: Made) -> Iterator[tuple[str, str]]:
    """The head's values can be aggregated as asked; the solutions belong to these problems; the pools are large
    enough."""
    for name, verifier in config.verifiers.items():
        for _, head in heads(made, verifier):
            if head and (said := aggregate_misfit(config.aggregate, head)):
                yield f"verifiers.{name}", said
    for said in other_problems(made, config.solutions, config.problems):
        yield "solutions", said
    for maker in made.origins(config.solutions):
        if maker.uses == "sample" and config.pools and config.pools[-1] > maker.config.n:
            yield (
                "n",
                f"{config.pools[-1]} solutions of a problem are more than {maker.name!r} draws (n={maker.config.n}).",
            )


def _pools(
    config: EvaluateVerifierConfig, ctx: Context, seen: Counter[str] | None = None
) -> Iterator[tuple[Problem, list[Solution]]]:
    """Problems with their verifiable solutions. Other solutions are counted, and problems are counted in `seen`."""
    source = read_solutions(ctx.input(config.solutions))
    for problem, solutions in with_solutions(read_problems(ctx.input(config.problems)), source):
        if not suits(config.where, problem.tags, problem.difficulty):
            continue
        known = [s for s in solutions if s.verdict in ("correct", "wrong")]
        if seen is not None and solutions:
            if len(known) < len(solutions):
                ctx.count("dropped.unverifiable", len(solutions) - len(known))
            seen.update(problems=1, unverifiable=not known)
        if known:
            yield problem, known


def _scored(name: str, config: EvaluateVerifierConfig, ctx: Context) -> Iterator[_Scored]:
    """Scores, as probabilities if the verifier's scale converts to them."""
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
"""A figure of a verifier, with its interval if a valid one is known."""
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
    """AUC within problems (mean over problems with both right and wrong solutions) and pooled; for probabilities also
    the Brier score and the debiased calibration error."""
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
    """The table with a column for every figure, empty in rows without a verifier."""
    names = list(dict.fromkeys(name for found in figures.values() for name in found))
    rows = [
        [*row, *(_shown(found[n]) if (found := figures.get(row[0], {})) and n in found else "" for n in names)]
        for row in table["rows"]
    ]
    return {**table, "columns": [*table["columns"], *names], "rows": rows}


def _numbers(figure: Figure) -> list[float]:
    """[value, low, high], or [value] if there is no valid interval."""
    return [figure] if isinstance(figure, float) else figure.numbers


def _shown(figure: Figure) -> str:
    return f"{100 * figure:.1f}" if isinstance(figure, float) else figure.percent()


def _right(solutions: Sequence[Solution]) -> list[bool]:
    return [s.verdict == "correct" for s in solutions]


def _elected(name: str, vote: Vote, one: _Scored, same: Same, n: int | None = None) -> dict[str, Any]:
    """The row of a vote over a verifier's scores."""
    return _voted(voted(name, vote), vote, one.problem, one.pool, one.weights, same, n, read=one.pool)


def _by_majority(problem: Problem, pool: list[Solution], same: Same, n: int | None = None) -> dict[str, Any]:
    return _voted(MAJORITY, Majority(), problem, pool, [1.0] * len(pool), same, n)


def _without_verifier(problem: Problem, pool: list[Solution], same: Same) -> Iterator[dict[str, Any]]:
    """Rows of the ways to choose that need no verifier."""
    yield _by_majority(problem, pool, same)
    distinct = list({s.text: s for s in pool}.values())
    right = sum(_right(distinct)) / len(distinct)
    yield _row(CHANCE, f"{len(pool)} samples, any distinct one", problem, pool, distinct[0], right, same, drawn=pool)
    yield _row(FIRST, "1 sample", problem, pool, pool[0], float(_right(pool)[0]), same, drawn=pool[:1])


def _voted(
    name: str,
    vote: Vote,
    problem: Problem,
    pool: list[Solution],
    scores: Sequence[float],
    same: Same,
    n: int | None,
    read: Sequence[Solution] = (),
) -> dict[str, Any]:
    """The row of a vote over the whole pool, or over n of its solutions at n / pool size of the pool's cost."""
    cast = [
        Ballot(_Candidate(i, solution.answer, float(solution.verdict == "correct")), 1, score)
        for i, (solution, score) in enumerate(zip(pool, scores, strict=True))
    ]
    chosen = elect_among(cast, 0, n, vote, same, problem.id) if n else elect(cast, vote, same, problem.id)
    shown = pool[chosen.leaf.number] if chosen.leaf else None
    strategy = f"{n or len(pool)} samples, {vote.uses}"
    row = _row(name, strategy, problem, pool, shown, chosen.accuracy or 0.0, same, drawn=pool, read=read)
    if n is None:
        return row
    costs = {cost: row[cost] * n / len(pool) for cost in ("tokens", "generated_tokens", "scored_tokens")}
    return {**row, **costs, "policy": f"{name}@{n}"}


def _row(
    name: str,
    strategy: str,
    problem: Problem,
    pool: list[Solution],
    shown: Solution | None,
    accuracy: float,
    same: Same,
    *,
    drawn: list[Solution],
    read: Sequence[Solution] = (),
) -> dict[str, Any]:
    """`drawn`: the samples that this way of choosing needs; `read`: those that a verifier read, prompts included."""
    from reasoning_train.evaluation.table_row import TableRow, of_problem, of_samples

    generated, scored = sum(len(s.token_ids) for s in drawn), sum(len(s.prompt_ids) + len(s.token_ids) for s in read)
    return TableRow(
        policy=name,
        strategy=strategy,
        **of_problem(problem),
        verdict=str(shown.verdict) if shown else "wrong",
        accuracy=accuracy,
        cut=sum(s.finish == "length" for s in drawn) / len(drawn),
        answer=shown.answer if shown else None,
        tokens=generated + scored,
        generated_tokens=generated,
        scored_tokens=scored,
        solution=shown.text if shown else "",
        **of_samples(pool, same),
    ).to_row()
