"""Nodes that the recipe does not write as stages: the base model, the splits of its tasks and their worked
solutions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from reasoning_train.api.refs import UNKNOWN, Ref
from reasoning_train.recipe.drafts import Draft
from reasoning_train.recipe.errors import Problems
from reasoning_train.recipe.files import LeafFiles
from reasoning_train.recipe.resolver.text import BadReference, hint
from reasoning_train.recipe.schema import Recipe
from reasoning_train.recipe.tasks import LoadedTask, load_task, model_config
from reasoning_train.recipe.yaml_core import join


class Resolve(Protocol):
    """Resolves the references inside a value at a dotted path."""

    def __call__(self, value: Any, path: str) -> Any: ...


class ImplicitNodes:
    """Finds implicit nodes by reference, adds them to the drafts and makes their configs."""

    def __init__(
        self, recipe: Recipe, drafts: dict[str, Draft], resolve: Resolve, files: LeafFiles, problems: Problems
    ) -> None:
        self._recipe, self._drafts, self._resolve = recipe, drafts, resolve
        self._files, self._problems = files, problems
        self._tasks: dict[str, LoadedTask | None] = {}
        self._loading: set[str] = set()

    @property
    def loading(self) -> tuple[str, ...]:
        """The tasks that are being loaded. Their defaults do not count as written yet."""
        return tuple(sorted(self._loading))

    def task(self, path: str) -> LoadedTask | None:
        """The task at `task` or `tasks.NAME`. None if it is absent, invalid (noted once) or currently being loaded."""
        if path not in self._tasks and path not in self._loading:
            self._loading.add(path)
            written = self._written(path)
            self._tasks[path] = (
                load_task(self._plain(written, path), path, self._files, self._problems)
                if written is not None
                else None
            )
            self._loading.discard(path)
        return self._tasks.get(path)

    def _written(self, path: str) -> dict[str, Any] | None:
        return self._recipe.task if path == "task" else self._recipe.tasks.get(path.removeprefix("tasks."))

    def _plain(self, written: Mapping[str, Any], path: str) -> dict[str, Any]:
        """A mapping with references resolved. They may name values but not stages."""
        resolved: dict[str, Any] = self._resolve(written, path)
        for name, value in resolved.items():
            if isinstance(value, Ref) and value != UNKNOWN:
                self._problems.add(join(path, name), f"takes a plain value, not an output of a stage (${{{value}}}).")
        return resolved

    def find(self, parts: Sequence[str]) -> Ref | None:
        """A Ref for `model`, `task.SPLIT[.gold]`, `tasks.NAME.SPLIT[.gold]`; None if the parts name a plain value."""
        if parts[0] == "model":
            return self._model() if len(parts) == 1 else None
        size = 2 if parts[0] == "tasks" else 1
        path, rest = ".".join(parts[:size]), parts[size:]
        if self._written(path) is None:
            raise BadReference(
                f"${{{'.'.join(parts)}}} needs `{path}:` in the "
                f"recipe{hint(path.removeprefix('tasks.'), self._recipe.tasks)}"
            )
        if not rest or path in self._loading:
            return None
        loaded = self.task(path)
        if loaded is None:
            return UNKNOWN
        if rest[0] in loaded.splits:
            return self._split(path, rest)
        if rest[0] not in loaded.config:
            raise BadReference(
                f"{path} has neither a split nor a field {rest[0]!r}{hint(rest[0], {*loaded.splits, *loaded.config})}"
            )
        return None

    def _split(self, path: str, rest: Sequence[str]) -> Ref:
        node = f"{path}.{rest[0]}"
        self._drafts.setdefault(node, Draft(name=node, path=path, uses="problems", written={}, implicit=True))
        if len(rest) == 1:
            return Ref(node)
        if list(rest[1:]) != ["gold"]:
            raise BadReference(f"the split {node} has only `.gold` beside its problems, no {'.'.join(rest[1:])!r}")
        gold = Draft(name=f"{node}.gold", path=path, uses="gold", written={"problems": f"${{{node}}}"})
        return Ref(self._drafts.setdefault(gold.name, gold).name)

    def _model(self) -> Ref:
        if self._recipe.model is None:
            raise BadReference(
                "${model} needs `model:` in the recipe, for example through `include: [configs/models/tiny.yaml]`"
            )
        if self._recipe.task is None and not self._recipe.tasks:
            raise BadReference("${model} needs `task:` in the recipe, whose text conventions the model follows")
        self._drafts.setdefault("model", Draft(name="model", path="model", uses="model", written={}, implicit=True))
        return Ref("model")

    def config(self, draft: Draft) -> dict[str, Any] | None:
        """The config of `model` or of a split; None if its task is invalid."""
        loaded = self.task("task" if draft.uses == "model" else draft.path)
        if draft.uses == "model" and (loaded or self._recipe.task is None):
            return model_config(self._plain(self._recipe.model or {}, "model"), loaded, self._problems)
        if loaded is None:
            return None
        return loaded.problems_config(draft.name.removeprefix(draft.path + "."), name=draft.path.partition(".")[2])
