"""The columns of a table that a task names besides its verdict: side graders and measures.

A recipe writes them in the task. Evaluations take them over into their own configuration, which enters their keys: a
new column makes tables again, and neither problems nor models.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict

from data_gen.tasks.base import AnyMeasure, Task
from data_gen.tasks.beside import AnySideGrader
from data_gen.tasks.merged import Merged
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import Made


class Columns(BaseModel):
    """The columns of one task: `Columns(graders={"strict": Exact()}, measures=(Steps(),))`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    graders: dict[str, AnySideGrader] = {}
    measures: tuple[AnyMeasure, ...] = ()


def columns_of(made: Made, problems: Ref) -> dict[str, Columns]:
    """Task name (`Problem.task`) -> its columns, for every task of the problems that names any."""
    tasks = {maker.config.task_name: maker.config.task for maker in made.origins(problems) if maker.uses == "problems"}
    found = {name: Columns(graders=task.graders, measures=task.measures) for name, task in tasks.items()}
    return {name: columns for name, columns in found.items() if columns != Columns()}


def with_columns(task: Task, names: Iterable[str], columns: Mapping[str, Columns]) -> Task:
    """The task with these columns and no others. `names`: the tasks of the problems (`Problem.task`)."""

    def own(one: Task, name: str) -> Task:
        given = columns.get(name, Columns())
        return one.model_copy(update={"graders": given.graders, "measures": given.measures})

    if isinstance(task, Merged):
        return task.model_copy(update={"members": {name: own(one, name) for name, one in task.members.items()}})
    [name] = names
    return own(task, name)
