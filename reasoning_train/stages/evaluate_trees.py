"""`evaluate_trees`: evaluates test-time strategies on stored trees: any vote and pool size without sampling again."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from data_gen.errors import UserError
from data_gen.records.problem import Problem
from data_gen.records.trees import Tree
from data_gen.search import SEARCHES
from data_gen.search.votes import VOTES, Vote
from data_gen.search.votes.weighted import Weighted
from reasoning_train.api.refs import Ref, TreesRef
from reasoning_train.api.stage import Context, Made, Maker, Sizes, at_most, stage
from reasoning_train.evaluation.groups import count_asked, restricted
from reasoning_train.evaluation.limits import ResamplingLimits
from reasoning_train.stages.effort import uneven_effort
from reasoning_train.stages.evaluated import Evaluated, completed, finish_table, task_of
from reasoning_train.stages.fits import other_problems
from reasoning_train.store.inputs import read_problems, stream_trees

if TYPE_CHECKING:
    from reasoning_train.store.table_row import TableRow

    AnyVote = Vote
else:
    AnyVote = VOTES.union()


class Strategy(BaseModel):
    """Trees and the vote over them: `{trees: "${stages.pool}", n: 4, vote: majority}`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trees: TreesRef
    vote: AnyVote = Weighted()
    """A rule by name or written out: `{uses: argmax, score: min}`."""
    n: Annotated[int, Field(ge=1)] | list[Annotated[int, Field(ge=1)]] | None = None
    """Use only n of a pool's independent paths (best-of-N). Accuracy is the mean over subsets; tokens are scaled
    accordingly. Several numbers, `[1, 2, 4, 8]`, give a row each: `NAME@1`, `NAME@2`, ... Strategies named `NAME@8`,
    such as searches with other budgets, join them as points of one curve in the report."""
    rates: TreesRef | None = None
    """A second pool of the same problems and scorer, by whose rates `limits` predicts this strategy. Without it they
    are those of the pool itself, and only what lies beyond its size is a prediction."""

    @field_validator("n")
    @classmethod
    def _some(cls, n: int | list[int] | None) -> int | list[int] | None:
        if n == []:
            raise ValueError("n is an empty list; give at least one number of paths, or leave it out")
        return n

    def rows(self, name: str) -> dict[str, int | None]:
        """The rows of the table, with the number of paths of each."""
        if isinstance(self.n, list):
            return {f"{name}@{n}": n for n in sorted(set(self.n))}
        return {name: self.n}

    def predicted(self, name: str, limits: ResamplingLimits | None) -> dict[str, int]:
        """The rows of the limits of resampling, with the most draws of each."""
        if limits is None or self.vote.accepting is None:
            return {}
        return limits.rows(name, filter(None, self.rows("").values()))


class EvaluateTreesConfig(Evaluated):
    """Strategies on the same problems; differences are taken against the first."""

    strategies: dict[str, Strategy] = Field(min_length=1)
    """Name in the table -> trees and vote. Every vote over a pool is charged what the pool's `scorer` read, also a rule
    that asks no verifier. For a majority at its own price, vote over a pool without a `scorer` (`iid`)."""
    limits: ResamplingLimits | None = None
    """The limits of resampling (arXiv 2411.17501): rows `NAME, predicted@K` in closed form beside strategies that take
    the first accepted candidate, and the worth of every row where a wrong answer has a price."""

    @model_validator(mode="after")
    def _named_once(self) -> EvaluateTreesConfig:
        if self.limits and not self.limited:
            raise ValueError(
                "limits: no strategy takes the first candidate that its verifier accepts; expected a vote such as "
                "`{uses: first_accepted, bar: 0.5}`, or no `limits`"
            )
        if twice := sorted(name for name, n in Counter(name for name, _ in self._arms()).items() if n > 1):
            raise ValueError(f"strategies: {twice[0]!r} would name two rows of the table; rename a strategy")
        return self

    @property
    def row_names(self) -> list[str]:
        """Rows of the table: the strategies, with every number of paths, each with its prediction behind it."""
        return [*self.arms]

    @property
    def limited(self) -> list[str]:
        """Strategies with a prediction."""
        return [name for name, one in self.strategies.items() if one.predicted(name, self.limits)]

    @property
    def arms(self) -> dict[str, list[Ref]]:
        """Every row has its trees."""
        return dict(self._arms())

    def _arms(self) -> Iterator[tuple[str, list[Ref]]]:
        for name, one in self.strategies.items():
            yield from ((row, [one.trees]) for row in one.rows(name))
            yield from ((row, [one.rates or one.trees]) for row in one.predicted(name, self.limits))


Item = tuple[Problem, dict[Ref, list[Tree]]]
"""A problem with its trees from every source."""


@stage("evaluate_trees", version=3, outputs={"table": "table"}, unit="problem", seeded=False, heavy=False)
def evaluate_trees(config: EvaluateTreesConfig, ctx: Context) -> None:
    """Record one row per strategy and problem, with the columns of `evaluate`, so that `claim` and `report` read
    both."""
    from reasoning_train.evaluation.predicted import predicted_rows
    from reasoning_train.evaluation.votes import VotedTrees, answers_in, classes_of, vote_rows

    source = ctx.input(config.problems)
    task = task_of(config, ctx)
    total = count_asked(read_problems(source), config.by, config.where, config.limit)
    for done, (order, key, (problem, trees)) in enumerate(ctx.pending(_items(config, ctx)), 1):
        rows: list[TableRow] = []
        if all(trees.values()):
            class_of = classes_of(task, problem, answers_in(itertools.chain(*trees.values())))
            forests = {ref: VotedTrees(problem, found, class_of, task) for ref, found in trees.items()}
            for name, strategy in config.strategies.items():
                _check_pool(name, strategy, trees[strategy.trees])
                rows += vote_rows(strategy.rows(name), forests[strategy.trees], strategy.vote)
                if predicted := strategy.predicted(name, config.limits):
                    _check_draws(name, strategy, trees[strategy.rates or strategy.trees])
                    rows += predicted_rows(predicted, forests[strategy.rates or strategy.trees], strategy.vote)
            if config.limits:
                rows = [config.limits.priced(row) for row in rows]
        else:
            ctx.count("dropped.no_tree")
        ctx.record(order, key, [row.to_row() for row in rows])
        ctx.progress(done, total)


evaluate_trees.complete(completed)


@evaluate_trees.check
def fits(config: EvaluateTreesConfig, made: Made) -> Iterator[tuple[str, str]]:
    """Pools are large enough, their paths are independent, steps have scores, and the trees belong to these
    problems. Tuned arms were chosen from the same number of candidates."""
    if said := uneven_effort(made, config.arms):
        yield "strategies", said
    for name, strategy in config.strategies.items():
        if strategy.rates and not strategy.predicted(name, config.limits):
            yield f"strategies.{name}.rates", UNREAD
        for field, ref in (("trees", strategy.trees), ("rates", strategy.rates)):
            for said in other_problems(made, ref, config.problems) if ref else ():
                yield f"strategies.{name}.{field}", said
        for maker in made.origins(strategy.trees):
            if maker.uses == "search":
                yield from ((f"strategies.{name}.{field}", said) for field, said in _misfits(strategy, maker))
        for maker in made.origins(strategy.rates or strategy.trees) if strategy.predicted(name, config.limits) else ():
            if maker.uses == "search":
                yield from ((f"strategies.{name}.{field}", said) for field, said in _unpredictable(strategy, maker))


UNREAD = (
    "nothing reads them, since the table has no `limits` or this vote takes no first accepted candidate. Remove "
    "`rates`, or add `limits: {}` and a vote such as `first_accepted`."
)


def _unpredictable(strategy: Strategy, maker: Maker) -> Iterator[tuple[str, str]]:
    """Why a pool says nothing of draws until one is accepted."""
    if not maker.config.search.independent:
        yield (
            "rates" if strategy.rates else "vote",
            f"`limits` predicts independent draws, and the paths of trees that {maker.config.search.uses!r} grows "
            f"({maker.name!r}) are not. Leave it to a table without `limits`, or name a pool as its `rates`.",
        )
    if strategy.rates and maker.config.scorer is None:
        yield "rates", f"{maker.name!r} has no `scorer`, so that nothing in it is accepted."


def _misfits(strategy: Strategy, maker: Maker) -> Iterator[tuple[str, str]]:
    search = maker.config.search
    if strategy.n is not None and not search.independent:
        yield (
            "n",
            f"paths of a tree that {search.uses!r} grew are not independent, so a subset of them is not a "
            "smaller search. Remove `n`, or grow trees with a smaller budget.",
        )
    elif strategy.n is not None and (n := max(filter(None, strategy.rows("").values()))) > search.n:
        yield "n", f"{n}, but the pool of {maker.name!r} holds {search.n} paths. Draw a larger pool."
    if strategy.vote.has_bar and strategy.vote.counted == "search":
        yield (
            "vote",
            "a bar cannot be compared with `score: search`, which is a path's share of its tree's votes. Name the "
            "scorer's own values: `score: last`.",
        )
    if strategy.vote.counted != "search" and maker.config.scorer is None:
        yield "vote", f"score {strategy.vote.counted!r} reads the values of steps, and {maker.name!r} has no `scorer`."


def _items(config: EvaluateTreesConfig, ctx: Context) -> Iterator[tuple[str, Item]]:
    """Every problem with its trees, which are in the order of the problems."""
    every = [(one.trees, one.rates) for one in config.strategies.values()]
    sources = dict.fromkeys(ref for refs in every for ref in refs if ref is not None)
    groups = {ref: _Groups(stream_trees(ctx.input(ref))) for ref in sources}
    wanted = restricted(read_problems(ctx.input(config.problems)), config.where, config.limit)
    ids = {problem.id for problem in wanted}
    for problem in read_problems(ctx.input(config.problems)):
        found = {ref: group.of(problem.id) for ref, group in groups.items()}
        if problem.id in ids:
            yield problem.id, (problem, found)
    for ref, group in groups.items():
        if group.ahead is not None:
            raise UserError(
                f"evaluate_trees: {ref} holds trees of {group.ahead.problem_id!r}, which is not among "
                f"{config.problems} or is in another order there. Grow the trees on the same problems."
            )


class _Groups:
    """Trees grouped by problem; one problem is in memory."""

    def __init__(self, trees: Iterator[Tree]) -> None:
        self._trees = trees
        self.ahead: Tree | None = next(trees, None)

    def of(self, problem_id: str) -> list[Tree]:
        """The next trees, if they are this problem's."""
        found: list[Tree] = []
        while self.ahead is not None and self.ahead.problem_id == problem_id:
            found.append(self.ahead)
            self.ahead = next(self._trees, None)
        return found


def _check_pool(name: str, strategy: Strategy, trees: list[Tree]) -> None:
    if strategy.n is not None and not SEARCHES.get(trees[0].search).independent:
        raise UserError(
            f"strategies.{name}.n: paths of a tree that {trees[0].search!r} grew are not independent, so a "
            "subset of them is not a smaller search. Remove `n`, or grow trees with a smaller budget."
        )


def _check_draws(name: str, strategy: Strategy, trees: list[Tree]) -> None:
    if not SEARCHES.get(trees[0].search).independent:
        raise UserError(
            f"strategies.{name}.{'rates' if strategy.rates else 'vote'}: `limits` predicts independent draws, and the "
            f"paths of trees that {trees[0].search!r} grows are not. Leave this strategy to a table without `limits`, "
            "or name a pool as its `rates`."
        )


@evaluate_trees.estimate
def size(config: EvaluateTreesConfig, sizes: Sizes) -> dict[str, Any]:
    """One row per strategy and problem; nothing is generated."""
    records = at_most(sizes(config.problems).get("rows"), config.limit)
    return {} if records is None else {"records": records, "rows": records * len(config.row_names)}


@evaluate_trees.finish
def summarise(config: EvaluateTreesConfig, ctx: Context, rows: Iterable[dict[str, Any]]) -> None:
    """Put accuracies with intervals and paired differences from the first strategy into the manifest."""
    nothing = f"no problem of {config.problems} has trees in every strategy and gold that the grader can read."
    limits = (config.limits, config.limited) if config.limits else None
    finish_table("evaluate_trees", config, ctx, rows, nothing=nothing, limits=limits)
