"""`problems`: one split of a task as rows. Implicit: `${task.train}` makes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any

from pydantic import BeforeValidator

from data_gen.errors import UserError
from data_gen.records.problem import Problem
from data_gen.tasks import Task
from reasoning_train.api.stage import Context, Sizes, StageConfig, gate, stage
from reasoning_train.store.inputs import DISJOINT, build_task, without_places, write_tasks
from reasoning_train.store.rows import write_rows


def _task(written: Any) -> Any:
    try:
        return build_task(written) if isinstance(written, dict) else written
    except UserError as error:
        raise ValueError(str(error)) from error


class ProblemsConfig(StageConfig):
    """Which split of which task."""

    task: Annotated[Task, BeforeValidator(_task)]
    split: str
    task_name: str = ""
    """The NAME of `tasks.NAME`, empty for `task`. It is the prefix of problem ids, so ids stay unique when the problems
    of several tasks are merged."""


@stage("problems", version=1, outputs={"data": "problems"}, seeded=False, heavy=False)
def problems(config: ProblemsConfig, ctx: Context) -> None:
    """Write the split and count rows without gold and those that were left out. GateError if the split is empty."""
    task, out = config.task, ctx.output("data")
    problems = (_named(problem, config.task_name) for problem in task.problems(config.split))
    rows = write_rows(out, kind="problems", rows=(p.to_row() for p in _counted(problems, ctx)))
    written = f"tasks.{config.task_name}" if config.task_name else "task"
    gate(
        rows > 0,
        f"{written}.{config.split}: the split {config.split!r} of task {task.uses!r} has no rows. Check `path`, "
        "`split` and the field map.",
    )
    left_out = task.left_out(config.split)
    if left_out:
        ctx.count("in", rows + sum(left_out.values()))
    for reason, n in left_out.items():
        ctx.count(f"dropped.{reason}", n)
        print(f"{written}.{config.split}: {n} rows dropped, {_WHY.get(reason, reason)}", flush=True)
    # Evaluations bring the columns themselves: rows that are reused must not bring those of an earlier recipe.
    described = config.task.model_dump(mode="json", exclude={"graders", "measures"})
    write_tasks(out, {config.task_name: without_places(described)})
    ctx.metric(DISJOINT, task.disjoint_splits)


_WHY = {
    "repeated": "which repeat a question and bring no new solution",
    "other_answer": "which repeat a question with another answer",
    "group": "whose group did not fit into the split",
}
"""What is said of rows that a task leaves out, by reason."""


@problems.estimate
def size(config: ProblemsConfig, sizes: Sizes) -> dict[str, Any]:
    """The size of the split, if the task knows it without reading."""
    rows = config.task.splits().get(config.split)
    return {} if rows is None else {"rows": rows}


def _named(problem: Problem, name: str) -> Problem:
    return replace(problem, id=f"{name}/{problem.id}", task=name) if name else problem


def _counted(rows: Iterator[Problem], ctx: Context) -> Iterator[Problem]:
    for problem in rows:
        ctx.count("out")
        if problem.gold is None:
            ctx.count("unverifiable.no_gold")
        if problem.more_steps:
            ctx.count("further_solutions", len(problem.more_steps))
        yield problem
