"""What the stages that evaluate have in common: the problems, the columns of their tasks, and the finished table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import Field

from data_gen.measures.base import Direction
from data_gen.registry import Unkeyed
from reasoning_train.api.refs import ProblemsRef
from reasoning_train.api.stage import Context, Made, StageConfig, gate
from reasoning_train.evaluation.columns import Columns, columns_of, with_columns
from reasoning_train.evaluation.groups import Where
from reasoning_train.evaluation.limits import ACCEPTS_RIGHT, ACCEPTS_WRONG, ResamplingLimits
from reasoning_train.evaluation.verifiable import MOST_UNVERIFIABLE, MaxUnverifiable, check_verifiable
from reasoning_train.stages.effort import tried
from reasoning_train.store.inputs import load_task, read_tasks

if TYPE_CHECKING:
    from data_gen.tasks import Task
    from reasoning_train.evaluation.tables import Table

E = TypeVar("E", bound="Evaluated")
Limited = tuple[ResamplingLimits, Sequence[str]]
"""What a table shows of the limits of resampling, and for which strategies."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What columns of a table are: `Measured(directions={"last": Direction.HIGHER}, shares=frozenset({"last"}))`."""

    directions: Mapping[str, Direction] = field(default_factory=dict)
    shares: frozenset[str] = frozenset()
    ratios: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Evaluated(StageConfig):
    """Base of the configs: on which problems, in which groups, with which columns."""

    problems: ProblemsRef
    by: list[str] = []
    """Tags of problems, or `difficulty`. Each adds a table with every row's metrics per group."""
    where: Where = {}
    """Only problems with these tags: `{subject: algebra, difficulty: [4, 5]}`."""
    limit: int | None = Field(None, ge=1)
    """Only the first of these problems."""
    columns: dict[str, Columns] = {}
    """Side graders and measures by the name of their task (empty: `task`). Unwritten: those that the tasks of the
    problems name."""
    max_unverifiable: MaxUnverifiable = MOST_UNVERIFIABLE
    """Largest share of problems whose gold may be missing or unreadable. Such problems are left out and counted; above
    this share the stage stops."""
    tried: Annotated[dict[str, dict[str, int]], Unkeyed()] = {}
    """Row -> `choose` stage -> number of candidates that it was chosen from. The program fills this in; tables show
    it."""

    @property
    def more(self) -> Measured:
        """Columns besides those of the tasks. Default: none."""
        return Measured()


def completed(config: E, made: Made) -> E:
    """The config with the side graders and measures that the tasks of the problems name, and with what was tried for
    each row."""
    columns = config.columns if "columns" in config.model_fields_set else columns_of(made, config.problems)
    return config.model_copy(update={"columns": columns, "tried": tried(made, config.arms)})


def task_of(config: Evaluated, ctx: Context) -> Task:
    """The task of the problems, with the config's columns."""
    source = ctx.input(config.problems)
    return with_columns(load_task(source), read_tasks(source), config.columns)


def summarised(
    config: Evaluated,
    ctx: Context,
    rows: Iterable[dict[str, Any]],
    ks: Sequence[int] = (),
    limits: Limited | None = None,
) -> dict[str, Any]:
    """Accuracies and columns with intervals, and paired differences from the first row."""
    from reasoning_train.evaluation.summary import summarise_rows

    task = task_of(config, ctx)
    more = config.more
    lower = [name for name, way in {**more.directions, **task.directions()}.items() if way == "lower"]
    shares = {*task.shares(), *more.shares, *((ACCEPTS_RIGHT, ACCEPTS_WRONG) if limits else ())}
    summary = summarise_rows(
        rows,
        config.row_names,
        ks,
        by=config.by,
        lower=[*lower, *([ACCEPTS_WRONG] if limits else [])],
        shares=shares,
        ratios={**more.ratios, **task.ratios()},
    )
    return {**summary, "tried": config.tried}


def publish(
    ctx: Context,
    summary: dict[str, Any],
    widen: Callable[[Table], Table] = lambda table: table,
    more: Sequence[Table] = (),
) -> None:
    """Put the summary and its tables into the manifest. `widen` may add columns to the main table; `more`: tables
    behind those by groups."""
    from reasoning_train.evaluation.tables import group_tables, summary_table

    ctx.count("out", summary["problems"])
    ctx.metric("summary", summary)
    ctx.metric("table", widen(summary_table(summary)))
    ctx.metric("by", [*group_tables(summary), *more])


def limit_tables(config: Evaluated, ctx: Context, rows: Iterable[dict[str, Any]], limits: Limited) -> list[Table]:
    """Put the limits of resampling into the manifest; their table."""
    from reasoning_train.evaluation.predicted import limits_table, summarise_limits

    settings, names = limits
    found = summarise_limits(settings, names, rows, config.by)
    ctx.metric("limits", found)
    return [limits_table(found, settings)]


def finish_table(
    stage: str,
    config: Evaluated,
    ctx: Context,
    rows: Iterable[dict[str, Any]],
    *,
    nothing: str,
    ks: Sequence[int] = (),
    limits: Limited | None = None,
) -> None:
    """Summarise the merged rows of a stage that records one row per problem. GateError if too few problems can be
    verified; `nothing` says why there may be none at all."""
    summary = summarised(config, ctx, rows, ks, limits)
    total = summary["problems"] + summary["unverifiable"]
    check_verifiable(stage, ctx, summary["unverifiable"], total, config.max_unverifiable)
    gate(summary["problems"] > 0, f"{stage}: {nothing}")
    ctx.count("dropped.unverifiable", summary["unverifiable"])
    publish(ctx, summary, more=limit_tables(config, ctx, rows, limits) if limits else ())
