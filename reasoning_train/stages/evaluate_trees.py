"""`evaluate_trees`: evaluates test-time strategies on stored trees: any vote and pool size without sampling again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from data_gen.errors import UserError
from data_gen.records.problem import Problem
from data_gen.records.trees import Tree
from data_gen.search import SEARCHES
from data_gen.search.votes import VOTES, Vote
from data_gen.search.votes.weighted import Weighted
from reasoning_train.api.refs import ProblemsRef, Ref, TreesRef
from reasoning_train.api.stage import Context, Made, Maker, Sizes, StageConfig, at_most, gate, stage
from reasoning_train.evaluation.columns import Columns, columns_of, with_columns
from reasoning_train.evaluation.groups import Where, count_asked, restricted
from reasoning_train.evaluation.verifiable import MOST_UNVERIFIABLE, MaxUnverifiable, check_verifiable
from reasoning_train.stages.fits import other_problems
from reasoning_train.store.inputs import load_task, read_problems, read_tasks, stream_trees

if TYPE_CHECKING:
    from data_gen.tasks import Task

    AnyVote = Vote
else:
    AnyVote = VOTES.union()


class Strategy(BaseModel):
    """Trees and the vote over them: `{trees: "${stages.pool}", n: 4, vote: majority}`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trees: TreesRef
    vote: AnyVote = Weighted()
    """A rule by name or written out: `{uses: argmax, score: min}`."""
    n: int | None = Field(None, ge=1)
    """Use only n of a pool's independent paths (best-of-N). Accuracy is the mean over subsets; tokens are scaled
    accordingly."""


class EvaluateTreesConfig(StageConfig):
    """Strategies on the same problems; differences are taken against the first."""

    problems: ProblemsRef
    strategies: dict[str, Strategy] = Field(min_length=1)
    """Name in the table -> trees and vote."""
    by: list[str] = []
    """Tags of problems, or `difficulty`. Each adds a table with every policy's metrics per group."""
    where: Where = {}
    """Only problems with these tags: `{subject: algebra, difficulty: [4, 5]}`."""
    limit: int | None = Field(None, ge=1)
    columns: dict[str, Columns] = {}
    """Side graders and measures by the name of their task (empty: `task`). Unwritten: those that the tasks of the
    problems name."""
    max_unverifiable: MaxUnverifiable = MOST_UNVERIFIABLE
    """Largest share of problems whose gold may be missing or unreadable. Such problems are left out and counted; above
    this share the stage stops."""

    @property
    def row_names(self) -> list[str]:
        """Rows of the table: the strategies."""
        return list(self.strategies)


Item = tuple[Problem, dict[Ref, list[Tree]]]
"""A problem with its trees from every source."""


@stage("evaluate_trees", version=1, outputs={"table": "table"}, unit="problem", seeded=False, heavy=False)
def evaluate_trees(config: EvaluateTreesConfig, ctx: Context) -> None:
    """Record one row per strategy and problem, with the columns of `evaluate`, so that `claim` and `report` read
    both."""
    from reasoning_train.evaluation.votes import same_answer, vote_row

    source = ctx.input(config.problems)
    task = _task(config, ctx)
    total = count_asked(read_problems(source), config.by, config.where, config.limit)
    for done, (order, key, (problem, trees)) in enumerate(ctx.pending(_items(config, ctx)), 1):
        same, rows = same_answer(task, problem), []
        if all(trees.values()):
            for name, strategy in config.strategies.items():
                _check_pool(name, strategy, trees[strategy.trees])
                rows.append(
                    vote_row(name, problem, trees[strategy.trees], strategy.vote, strategy.n, same, task).to_row()
                )
        else:
            ctx.count("dropped.no_tree")
        ctx.record(order, key, rows)
        ctx.progress(done, total)


@evaluate_trees.complete
def with_the_tasks_columns(config: EvaluateTreesConfig, made: Made) -> EvaluateTreesConfig:
    """Take over the side graders and measures that the tasks of the problems name."""
    if "columns" in config.model_fields_set:
        return config
    return config.model_copy(update={"columns": columns_of(made, config.problems)})


def _task(config: EvaluateTreesConfig, ctx: Context) -> Task:
    source = ctx.input(config.problems)
    return with_columns(load_task(source), read_tasks(source), config.columns)


@evaluate_trees.check
def fits(config: EvaluateTreesConfig, made: Made) -> Iterator[tuple[str, str]]:
    """Pools are large enough, their paths are independent, steps have scores, and the trees belong to these
    problems."""
    for name, strategy in config.strategies.items():
        for said in other_problems(made, strategy.trees, config.problems):
            yield f"strategies.{name}.trees", said
        for maker in made.origins(strategy.trees):
            if maker.uses == "search":
                yield from ((f"strategies.{name}.{field}", said) for field, said in _misfits(strategy, maker))


def _misfits(strategy: Strategy, maker: Maker) -> Iterator[tuple[str, str]]:
    search, trees = maker.config.search, maker.config.trees
    if strategy.n is not None and not search.independent:
        yield (
            "n",
            f"paths of a tree that {search.uses!r} grew are not independent, so some of them are no smaller search. "
            "Remove `n`, or grow such a tree with a smaller budget.",
        )
    elif strategy.n is not None and strategy.n > search.n * trees:
        yield "n", f"{strategy.n}, but the pool of {maker.name!r} holds {search.n * trees} paths. Draw a larger pool."
    if strategy.vote.counted != "search" and maker.config.scorer is None:
        yield "vote", f"score {strategy.vote.counted!r} reads the values of steps, and {maker.name!r} has no `scorer`."


def _items(config: EvaluateTreesConfig, ctx: Context) -> Iterator[tuple[str, Item]]:
    """Every problem with its trees, which are in the order of the problems."""
    sources = dict.fromkeys(strategy.trees for strategy in config.strategies.values())
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
                f"{config.problems} or stands there in another order. Grow the trees on the same problems."
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
            f"strategies.{name}.n: paths of a tree that {trees[0].search!r} grew are not independent, so some of them "
            "are no smaller search. Remove `n`, or grow such a tree with a smaller budget."
        )


@evaluate_trees.estimate
def size(config: EvaluateTreesConfig, sizes: Sizes) -> dict[str, Any]:
    """One row per strategy and problem; nothing is generated."""
    records = at_most(sizes(config.problems).get("rows"), config.limit)
    return {} if records is None else {"records": records, "rows": records * len(config.strategies)}


@evaluate_trees.finish
def summarise(config: EvaluateTreesConfig, ctx: Context, rows: Iterable[dict[str, Any]]) -> None:
    """Put accuracies with intervals and paired differences from the first strategy into the manifest."""
    from reasoning_train.evaluation.summary import summarise_rows
    from reasoning_train.evaluation.tables import group_tables, summary_table

    task = _task(config, ctx)
    lower = [name for name, way in task.directions().items() if way == "lower"]
    summary = summarise_rows(rows, list(config.strategies), [], by=config.by, lower=lower, shares=task.shares())
    total = summary["problems"] + summary["unverifiable"]
    check_verifiable("evaluate_trees", ctx, summary["unverifiable"], total, config.max_unverifiable)
    gate(
        summary["problems"] > 0,
        f"evaluate_trees: no problem of {config.problems} has trees in every strategy and gold that parses.",
    )
    ctx.count("out", summary["problems"])
    ctx.count("dropped.unverifiable", summary["unverifiable"])
    ctx.metric("summary", summary)
    ctx.metric("table", summary_table(summary))
    ctx.metric("by", group_tables(summary))
