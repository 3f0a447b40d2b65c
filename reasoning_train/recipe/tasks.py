"""The validated tasks of a recipe, and the configs of the implicit nodes for their splits and the base model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from data_gen.errors import UserError
from data_gen.tasks import TASKS, Task
from reasoning_train.recipe.errors import Problems
from reasoning_train.recipe.files import LeafFiles
from reasoning_train.recipe.validate import plain, validate
from reasoning_train.recipe.yaml_core import join


@dataclass(frozen=True, slots=True)
class LoadedTask:
    """A valid task from `task:` or `tasks.NAME:`."""

    task: Task
    config: dict[str, Any]
    """Plain data with defaults filled in and absolute paths of local files."""
    splits: tuple[str, ...]

    def problems_config(self, split: str, name: str) -> dict[str, Any]:
        """Config of the `problems` node of one split. `name`: the NAME of `tasks.NAME`, empty for `task`."""
        return {"task": self.config, "split": split, "task_name": name}


def load_task(written: Mapping[str, Any], path: str, files: LeafFiles, problems: Problems) -> LoadedTask | None:
    """The task at `path` of the recipe, with its files found and looked at. None, with the problems noted, if it is
    invalid."""
    try:
        task = declared_task(written, path, problems)
        return _with_files(type(task), task, path, files) if task else None
    except UserError as error:
        # A task's own message calls its fields `task.FIELD`, and may begin with one.
        said = re.sub(r"(?<![\w.])task\.", f"{path}.", str(error))
        field, colon, rest = said.partition(": ")
        problems.add(*((field, rest) if colon and field.startswith(f"{path}.") else (path, said)))
        return None


def declared_task(written: Mapping[str, Any], path: str, problems: Problems) -> Task | None:
    """The task as it is written, whether its files are there or not. None, with the problems noted, if it is
    invalid."""
    uses = written.get("uses")
    if not isinstance(uses, str):
        problems.add(path, f"`uses` is missing; name a task. Known: {', '.join(TASKS.names())}.")
        return None
    try:
        kind = TASKS.get(uses)
    except UserError as error:
        problems.add(join(path, "uses"), str(error))
        return None
    return validate(kind, written, path, problems, f" of task {uses!r}")


def _with_files(kind: type[Task], task: Task, path: str, files: LeafFiles) -> LoadedTask:
    config = plain(task)
    for field, file in task.files().items():
        *above, last = field.split(".")
        inside = config
        for name in above:
            inside = inside[name]
        inside[last] = files.find(file, f"{path}.{field}")
    task = kind.model_validate(config)
    looked_at = files.look(task, config)
    return LoadedTask(looked_at, config if looked_at is task else plain(looked_at), tuple(looked_at.splits()))


def model_config(
    written: Mapping[str, Any], task: LoadedTask | None, problems: Problems, path: str = "model"
) -> dict[str, Any]:
    """Config of a model as written, plus the task's text conventions and, for `tokenizer: task`, its vocabulary.
    Without a task it has no conventions of its own."""
    if task is None:
        return dict(written)
    config = {"task_format": task.config["format"], **written}
    if written.get("tokenizer") == "task" and "vocabulary" not in written:
        config["vocabulary"] = task.task.vocabulary()
        if config["vocabulary"] is None:
            problems.add(
                f"{path}.tokenizer",
                f"'task' needs a task with a closed vocabulary; {task.task.uses!r} has open text. Name a pretrained "
                "model instead.",
            )
    return config
