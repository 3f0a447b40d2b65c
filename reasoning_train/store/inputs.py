"""Typed reading of a stage's inputs: problems, solutions and the task that made them."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from data_gen.errors import UserError
from data_gen.records.problem import Problem
from data_gen.records.solution import Solution
from data_gen.records.trees import Tree, read_trees
from data_gen.tasks import TASKS, Task
from data_gen.tasks.merged import Merged
from reasoning_train.api.stage import Context, Input
from reasoning_train.store.rows import Rows
from reasoning_train.store.table_row import TableRow


def read_problems(source: Input) -> Iterator[Problem]:
    """The problems of a `problems` input, streamed in order."""
    return (Problem.from_row(row) for row in Rows(source.path))


def read_solutions(source: Input) -> Iterator[Solution]:
    """The solutions of a `solutions` input, streamed in order. Solutions of one problem are adjacent."""
    return (Solution.from_row(row) for row in Rows(source.path))


def read_table(folder: Path) -> Iterator[TableRow]:
    """The rows of a `table` input's folder, streamed in order."""
    return (TableRow.from_row(row) for row in Rows(folder))


def with_solutions(
    problems: Iterable[Problem], solutions: Iterable[Solution]
) -> Iterator[tuple[Problem, list[Solution]]]:
    """Each problem with its solutions, possibly none. UserError if the solutions are not in the order of the
    problems."""
    groups = itertools.groupby(solutions, key=lambda row: row.problem_id)
    waiting = next(groups, None)
    for problem in problems:
        if waiting is None or waiting[0] != problem.id:
            yield problem, []
            continue
        yield problem, list(waiting[1])
        waiting = next(groups, None)
    if waiting is not None:
        raise UserError(
            f"solutions: problem {waiting[0]!r} is not among the problems, or comes earlier there. Expected "
            "solutions of the same problems in the same order, as `sample` makes them; leave `limit` to the "
            "stage that samples."
        )


def stream_trees(source: Input) -> Iterator[Tree]:
    """The trees of a `trees` input, streamed in order. Trees of one problem are adjacent."""
    return read_trees(Rows(source.path))


def count_rows(source: Input, limit: int | None = None) -> int:
    """Number of rows of an input, from its manifest; at most `limit`."""
    rows = int(source.manifest["outputs"][source.path.name]["rows"])
    return rows if limit is None else min(rows, limit)


DISJOINT = "disjoint_splits"
"""Metric of problem rows: no two splits of their tasks can share a problem."""
TASKS_FILE = "tasks.json"
"""File beside problem rows, with the name of each of their tasks (`Problem.task`) and its configuration."""


def load_task(source: Input) -> Task:
    """The task of a `problems` input. If the problems come from several tasks, a task that dispatches each problem to
    its own."""
    members = {name: build_task(config) for name, config in read_tasks(source).items()}
    if len(members) == 1:
        return next(iter(members.values()))
    return Merged(members=members, format=next(iter(members.values())).format)


def read_tasks(source: Input) -> dict[str, dict[str, Any]]:
    """Task name (`Problem.task`) -> configuration, for every task of a `problems` input."""
    found: dict[str, dict[str, Any]] = json.loads((source.path / TASKS_FILE).read_text(encoding="utf-8"))
    return found


def without_places(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a task as it travels with its problems: its files by their names, since nothing reads their rows
    again."""
    made: dict[str, Any] = copy.deepcopy(dict(config))
    for field, path in build_task(config).files().items():
        *above, last = field.split(".")
        inside = made
        for name in above:
            inside = inside[name]
        inside[last] = path.name
    return made


def write_tasks(folder: Path, tasks: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the tasks of problems beside their rows."""
    (folder / TASKS_FILE).write_text(json.dumps(tasks, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def pass_on_tasks(source: Input, folder: Path, ctx: Context) -> None:
    """Give problems that were picked from `source` its tasks, and its promise that splits are disjoint."""
    write_tasks(folder, read_tasks(source))
    ctx.metric(DISJOINT, source.manifest["metrics"].get(DISJOINT, False))


def build_task(config: Mapping[str, Any]) -> Task:
    """A task from its recipe mapping. UserError if the task is unknown."""
    if "uses" not in config:
        raise UserError(f"task: `uses` is missing. Known: {', '.join(TASKS.names())}.")
    return TASKS.get(config["uses"]).model_validate(dict(config))
