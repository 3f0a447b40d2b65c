"""`evaluate_verifier`: AUC, calibration and best of N of verifiers on sampled solutions of held-out problems."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from data_gen.records.scales import Scale
from data_gen.scorers.head import Aggregate
from data_gen.search.votes import VOTES, Vote
from data_gen.search.votes.argmax import Argmax
from data_gen.search.votes.majority import Majority
from reasoning_train.api.refs import ModelRef, Ref, SolutionsRef, VerifierRef
from reasoning_train.api.stage import Context, Made, gate, stage
from reasoning_train.evaluation.groups import count_asked, restricted
from reasoning_train.evaluation.limits import ResamplingLimits
from reasoning_train.evaluation.names import CHANCE, FIRST, MAJORITY
from reasoning_train.evaluation.verifiable import check_verifiable
from reasoning_train.stages.effort import uneven_effort
from reasoning_train.stages.evaluated import Evaluated, completed, limit_tables, publish, summarised, task_of
from reasoning_train.stages.fits import aggregate_misfit, dependent_rows, heads, other_problems
from reasoning_train.store.inputs import read_problems, read_solutions, with_solutions
from reasoning_train.store.rows import write_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reasoning_train.evaluation.pools import Pool, Scored

    AnyVote = Vote
else:
    AnyVote = VOTES.union()


BEST_OF_N: list[Vote] = [Argmax()]


class EvaluateVerifierConfig(Evaluated):
    """Which verifiers are evaluated, and on which solutions."""

    verifiers: dict[str, VerifierRef] = {}
    likelihoods: dict[str, ModelRef] = {}
    """Policies whose mean log-probability of a solution is its score (Math-Rev, arXiv 2410.05318): a policy trained for
    it by `dpo` with `losses: [simpo]`, or the policy itself. Give at least one of `verifiers` and `likelihoods`."""
    solutions: SolutionsRef
    """Several solutions per problem, sampled from `policy` (stage `sample` on held-out problems)."""
    policy: ModelRef
    aggregate: Aggregate = "last"
    """How the values of a solution's steps are combined into a verifier's score."""
    votes: list[AnyVote] | dict[str, AnyVote] = Field(BEST_OF_N, min_length=1)
    """How scores choose an answer: `[argmax, weighted]`, or under names of your own, `{strict: {uses: filtered, bar:
    0.8}}`. Every verifier has a row per vote. The weight of a solution is its probability, or exp of its score for
    rankings. The row of `argmax` in a list has the verifier's name, others are `NAME, VOTE`."""
    n: Annotated[int, Field(ge=1)] | list[Annotated[int, Field(ge=1)]] = []
    """Sizes of smaller pools to evaluate without sampling again. Each n adds rows `NAME@n`: the mean over all subsets
    of n solutions of a problem (over 64 random subsets if there are more than 1,000 and the vote has no closed form),
    with n / pool size of the tokens."""
    limits: ResamplingLimits | None = None
    """The limits of resampling (arXiv 2411.17501): rows `NAME, predicted@K` in closed form beside votes that take the
    first accepted solution, and the worth of every row where a wrong answer has a price."""

    @model_validator(mode="after")
    def _named_once(self) -> EvaluateVerifierConfig:
        if not self.verifiers and not self.likelihoods:
            raise ValueError("give at least one of `verifiers` and `likelihoods`")
        if named := [vote.named_score for _, vote in self.ways if vote.named_score]:
            raise ValueError(
                f"votes: `score: {named[0]}` has no meaning here; `aggregate` says how the values of steps become "
                "a score"
            )
        if self.limits and not self.limited:
            raise ValueError(
                "limits: no vote takes the first solution that its verifier accepts; expected one such as "
                "`{uses: first_accepted, bar: 0.5}`, or no `limits`"
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
    def ways(self) -> list[tuple[str, Vote]]:
        """Votes, with what a row's name adds to the verifier's; empty for `argmax` in a list."""
        if isinstance(self.votes, dict):
            return [*self.votes.items()]
        return [("" if vote.uses == "argmax" else vote.uses, vote) for vote in self.votes]

    @property
    def row_names(self) -> list[str]:
        """Rows of the table, in order."""
        whole = [voted(name, way) for name in self.names for way, _ in self.ways]
        smaller = [f"{name}@{n}" for n in self.pools for name in [MAJORITY, *whole]]
        predicted = [row for name in self.limited for row in self.predicted(name)]
        return [MAJORITY, CHANCE, FIRST, *whole, *smaller, *predicted]

    @property
    def limited(self) -> list[str]:
        """Rows that have a prediction."""
        accepting = [way for way, vote in self.ways if self.limits and vote.accepting is not None]
        return [voted(name, way) for name in self.names for way in accepting]

    def predicted(self, row: str) -> dict[str, int]:
        """The rows of a row's limits of resampling, with the most draws of each."""
        return self.limits.rows(row, self.pools) if self.limits else {}

    @property
    def arms(self) -> dict[str, list[Ref]]:
        """Every row has the solutions, and that of a verifier or likelihood its model."""
        models = {**self.verifiers, **self.likelihoods}
        whole: dict[str, list[Ref]] = {name: [self.solutions] for name in (MAJORITY, CHANCE, FIRST)}
        whole |= {voted(name, way): [self.solutions, made] for name, made in models.items() for way, _ in self.ways}
        cut = [name for name in whole if name not in (CHANCE, FIRST)]
        smaller = {f"{name}@{n}": whole[name] for n in self.pools for name in cut}
        return whole | smaller | {row: whole[name] for name in self.limited for row in self.predicted(name)}

    @property
    def pools(self) -> list[int]:
        """Sizes of the smaller pools, in order."""
        return [self.n] if isinstance(self.n, int) else sorted(set(self.n))


def voted(name: str, way: str) -> str:
    """The row of a verifier under a vote (`EvaluateVerifierConfig.ways`)."""
    return f"{name}, {way}" if way else name


@stage("evaluate_verifier", version=4, outputs={"table": "table"}, seeded=False, scores=True, always=(Majority,))
def evaluate_verifier(config: EvaluateVerifierConfig, ctx: Context) -> None:
    """One row per (way to choose, problem), with the columns of `evaluate`. Each verifier's figures are shown beside
    the accuracies.

    Differences are taken against the majority vote. `random distinct trace` is the expected choice of an uninformed
    verifier. Tokens count what a way of choosing needs: the sampled solutions, and what the verifier reads.
    """
    from reasoning_train.evaluation.pools import elected_row, majority_row, unscored_rows
    from reasoning_train.evaluation.predicted import judged_pool
    from reasoning_train.evaluation.verifier_figures import figures_of, numbers, with_figures

    count_asked(read_problems(ctx.input(config.problems)), config.by, config.where, config.limit)
    pools = _pools(config, ctx)
    rows = [row for pool in pools for row in (*unscored_rows(pool), *(majority_row(pool, n) for n in config.pools))]
    figures = {}
    for name in config.names:
        scored = [*_scored(name, config, ctx, pools)]
        figures[name] = figures_of(scored)
        votes = [(voted(name, way), vote, n) for n in (None, *config.pools) for way, vote in config.ways]
        by_pool = [[elected_row(row, vote, one, n) for row, vote, n in votes] for one in scored]  # they share subsets
        rows += itertools.chain(*zip(*by_pool, strict=True))
        rows += [
            judged_pool(one, vote).predicted(row, n, **one.pool.sampled)
            for way, vote in config.ways
            if voted(name, way) in config.limited
            for row, n in config.predicted(voted(name, way)).items()
            for one in scored
        ]
    written = [(config.limits.priced(row) if config.limits else row).to_row() for row in rows]
    write_rows(ctx.output("table"), kind="table", rows=written)
    ctx.metric("verifiers", {name: {m: numbers(one) for m, one in found.items()} for name, found in figures.items()})
    limits = (config.limits, config.limited) if config.limits else None
    tables = limit_tables(config, ctx, written, limits) if limits else []
    publish(ctx, summarised(config, ctx, written, limits=limits), lambda table: with_figures(table, figures), tables)


evaluate_verifier.complete(completed)


@evaluate_verifier.check
def fits(config: EvaluateVerifierConfig, made: Made) -> Iterator[tuple[str, str]]:
    """The head's values can be aggregated as asked; the solutions belong to these problems; the pools are large
    enough. Rankings are compared with no bar. Tuned arms were chosen from the same number of candidates."""
    if said := uneven_effort(made, config.arms):
        yield "verifiers", said
    bars = [vote.uses for _, vote in config.ways if vote.has_bar]
    if config.likelihoods and bars:
        yield (
            "votes",
            f"{bars[0]!r} compares scores with a bar, but log-probabilities rank the solutions of one problem and mean "
            "nothing across problems. Measure `likelihoods` in a stage of their own, without this vote.",
        )
    for name, verifier in config.verifiers.items():
        for _, head in heads(made, verifier):
            if head and (said := aggregate_misfit(config.aggregate, head)):
                yield f"verifiers.{name}", said
            if head and head.scale is Scale.RANKING and bars:
                yield (
                    f"verifiers.{name}",
                    f"{bars[0]!r} compares scores with a bar, but its scores rank the solutions of one problem and "
                    "mean nothing across problems. Calibrate it, or use a vote without a bar.",
                )
    for said in other_problems(made, config.solutions, config.problems):
        yield "solutions", said
    for maker in made.origins(config.solutions):
        if why := dependent_rows(maker):
            yield "solutions", why
        if maker.uses == "sample" and config.pools and config.pools[-1] > maker.config.n:
            yield (
                "n",
                f"{config.pools[-1]} solutions of a problem are more than {maker.name!r} draws (n={maker.config.n}).",
            )


def _pools(config: EvaluateVerifierConfig, ctx: Context) -> list[Pool]:
    """The verifiable solutions of the problems that are asked for. GateError if too few problems have any."""
    from reasoning_train.evaluation.pools import Pool
    from reasoning_train.evaluation.votes import classes_of

    source, task = ctx.input(config.problems), task_of(config, ctx)
    asked = {problem.id for problem in restricted(read_problems(source), config.where, config.limit)}
    pools, unverifiable = list[Pool](), 0
    for problem, solutions in with_solutions(read_problems(source), read_solutions(ctx.input(config.solutions))):
        if problem.id not in asked:
            continue
        if not solutions:
            ctx.count("dropped.no_solutions")
            continue
        known = [one for one in solutions if one.verdict in ("correct", "wrong")]
        if len(known) < len(solutions):
            ctx.count("dropped.unverifiable", len(solutions) - len(known))
        unverifiable += not known
        if known:
            pools.append(Pool(problem, known, task, classes_of(task, problem, (one.answer for one in known))))
    check_verifiable("evaluate_verifier", ctx, unverifiable, len(pools) + unverifiable, config.max_unverifiable)
    gate(
        bool(pools),
        f"evaluate_verifier: no problem of {config.problems} has verifiable solutions in {config.solutions}.",
    )
    return pools


def _scored(name: str, config: EvaluateVerifierConfig, ctx: Context, pools: Sequence[Pool]) -> Iterator[Scored]:
    """Every pool with the scores of one verifier or likelihood."""
    from reasoning_train.models.policy_text import load_policy_text
    from reasoning_train.stages.verifier_scores import scored_by_head, scored_by_likelihood

    codec = load_policy_text(ctx.input(config.policy).path).codec
    if name in config.verifiers:
        found = scored_by_head(ctx.input(config.verifiers[name]).path, name, config.aggregate, codec, pools)
    else:
        found = scored_by_likelihood(ctx.input(config.likelihoods[name]).path, codec, pools)
    for done, scored in enumerate(found, 1):
        yield scored
        ctx.progress(done, len(pools))
