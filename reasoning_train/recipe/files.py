"""Leaf files of a recipe: found beside it or in the current folder, identified by the sha256 of their bytes."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from data_gen.errors import UserError
from data_gen.models.elsewhere import base_of_adapter, is_adapter, whole_model
from data_gen.tasks import Task
from reasoning_train.api.digest import path_digest
from reasoning_train.recipe.errors import Problems
from reasoning_train.recipe.yaml_core import join


class LeafFiles:
    """Finds and digests the files that configs name. `folder` is the recipe's folder."""

    def __init__(self, folder: Path, problems: Problems) -> None:
        self._folder, self._problems = folder, problems
        self.digests: dict[str, str] = {}
        """Absolute path -> sha256 of every file found so far."""
        self._looked: dict[tuple[type[Task], str], Task | None] = {}
        """What a task became when it had looked at its files. None: itself."""

    def look(self, task: Task, config: Any) -> Task:
        """Let a task look at its files and take its worked examples from them, unless the same one has, e.g. under
        another seed. `config`: it as plain data."""
        known = (type(task), json.dumps(config, sort_keys=True))
        if known not in self._looked:
            shown = task
            if all(path.is_file() for path in task.files().values()):
                task.look()
                shown = task.with_shots()
            self._looked[known] = None if shown is task else shown
        return self._looked[known] or task

    def find(self, written: Path, field: str) -> str:
        """The absolute path of a file or folder. If there is none, a problem is noted and the text is returned as
        written."""
        for place in (self._folder, Path.cwd()):
            found = os.path.abspath(place / written.expanduser())
            if os.path.exists(found):
                self.digests.setdefault(found, digest(Path(found)))
                return found
        looked = dict.fromkeys(os.path.abspath(place / written.expanduser()) for place in (self._folder, Path.cwd()))
        self._problems.add(field, f"there is no file {str(written)!r}; looked for {' and '.join(looked)}.")
        return str(written)


def digest(path: Path) -> str:
    """What identifies a file or a folder: its bytes, and those of the model that an adapter changes."""
    own = path_digest(path)
    try:
        under = whole_model(path) and base_of_adapter(path) if is_adapter(path) else None
    except UserError:  # gone or damaged, which is told when it is loaded
        under = None
    return own if under is None else hashlib.sha256(f"{own}\0{digest(under)}".encode()).hexdigest()


def texts(value: Any) -> list[str]:
    """All texts inside a plain value."""
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return [text for item in items for text in texts(item)]


def path_fields(value: Any, place: str = "") -> Iterator[tuple[str, Path]]:
    """(dotted path of the field, file path) of every path in a validated config."""
    if isinstance(value, Path):
        yield place, value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from path_fields(getattr(value, name), join(place, name))
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from path_fields(item, join(place, str(name)))
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            yield from path_fields(item, join(place, str(i)))
