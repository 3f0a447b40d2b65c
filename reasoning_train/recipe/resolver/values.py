"""Resolves references under one seed: to outputs of stages (a `Ref`), implicit nodes, and plain values of the
recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reasoning_train.api.refs import UNKNOWN, Spread
from reasoning_train.recipe import limits
from reasoning_train.recipe.drafts import Draft
from reasoning_train.recipe.errors import Problems, RecipeError, sentence
from reasoning_train.recipe.files import LeafFiles
from reasoning_train.recipe.formats import TASK_FORMAT
from reasoning_train.recipe.resolver.implicit import ImplicitNodes
from reasoning_train.recipe.resolver.scope import OUTSIDE, Scope
from reasoning_train.recipe.resolver.stages import StageReferences
from reasoning_train.recipe.resolver.text import BadReference, expand, hint, parts_of
from reasoning_train.recipe.schema import Recipe
from reasoning_train.recipe.tasks import model_config
from reasoning_train.recipe.yaml_core import join


class Resolver:
    """The recipe under one seed. Implicit nodes that are referred to are added to `drafts`."""

    def __init__(
        self,
        recipe: Recipe,
        values: Mapping[str, Any],
        drafts: dict[str, Draft],
        seed: int,
        files: LeafFiles,
        problems: Problems,
    ) -> None:
        self.seed = seed
        self._values, self._problems = values, problems
        self._stages = StageReferences(recipe, drafts, self._value, self._written, self._look_up)
        self._implicit = ImplicitNodes(recipe, drafts, self.resolve, files, problems)
        self._open: list[str] = []
        self._followed_to: dict[tuple[str, str, tuple[str, ...]], tuple[Any, int]] = {}
        """(path, scope, the tasks being loaded) -> the value with its references resolved, and its size."""
        self._size = 0

    def resolve(self, value: Any, path: str, scope: Scope = OUTSIDE) -> Any:
        """`value` with its references resolved. One that cannot be resolved is noted and becomes `UNKNOWN`."""
        if isinstance(value, Mapping):
            return _laid_out({key: self.resolve(item, join(path, key), scope) for key, item in value.items()})
        if isinstance(value, list):
            return _laid_in([self.resolve(item, join(path, str(i)), scope) for i, item in enumerate(value)])
        if not isinstance(value, str) or "${" not in value:
            return value
        try:
            return expand(value, lambda reference: self._look_up(reference, scope))
        except BadReference as error:
            self._problems.add(path, sentence(str(error)))
            return UNKNOWN

    def config(self, draft: Draft) -> dict[str, Any] | None:
        """The config of a draft with references resolved; None for an implicit node whose task is invalid."""
        if draft.implicit:
            return self._implicit.config(draft)
        fields = draft.written.items()
        resolved = {name: self.resolve(value, join(draft.path, name), draft.scope) for name, value in fields}
        if draft.uses in TASK_FORMAT and (task := self._implicit.task("task")):
            return model_config(resolved, task, self._problems, draft.path)
        return resolved

    def _look_up(self, reference: str, scope: Scope) -> Any:
        parts = parts_of(reference)
        head, rest = parts[0], parts[1:]
        if head == "stages" and rest:
            return self._stages.stage(rest, scope)
        if head in ("previous", "init", "round"):
            return self._stages.in_round(head, rest, scope)
        if head == "rounds" and len(rest) > 1:
            return self._stages.rounds(rest)
        if head == "grid":
            return self._stages.in_grid(rest, scope)
        if head == "grids" and len(rest) > 1:
            return self._stages.grids(rest)
        if head in ("task", "tasks", "model"):
            found = self._implicit.find(parts)
            return found if found is not None else self._value(parts, scope)
        return self.seed if reference == "seed" else self._value(parts, scope)

    def _value(self, parts: Sequence[str], scope: Scope) -> Any:
        """A plain value of the recipe, with its own references resolved."""
        return self._followed(".".join(parts), self._filled(parts), scope)

    def _written(self, draft: Draft, parts: Sequence[str]) -> Any:
        """A plain value that a stage writes, with its own references resolved."""
        value, done = draft.written, draft.path
        for part in parts:
            value, done = _field(value, part, done), join(done, part)
        return self._followed(done, value, draft.scope)

    def _followed(self, path: str, value: Any, scope: Scope) -> Any:
        """A value with its own references resolved: once, however many refer to it. BadReference for a circle, a chain
        of too many references, and one that makes the recipe too large."""
        if path in self._open:
            raise BadReference(f"values refer to each other in a circle: {' -> '.join([*self._open, path])}")
        if len(self._open) >= limits.LINKS:
            raise BadReference(f"more than {limits.LINKS} references lead to each other: {' -> '.join(self._open)}")
        place = path, scope.prefix, self._implicit.loading
        if place not in self._followed_to:
            self._open.append(path)
            try:
                found = expand_all(value, lambda reference: self._look_up(reference, scope))
            finally:
                self._open.pop()
            self._followed_to[place] = found, limits.size(found, limits.VALUES)
        found, grown = self._followed_to[place]
        self._size += grown
        if self._size > limits.VALUES:
            raise RecipeError(
                f"{self._problems.origin(path)}: {path}: references to this value and others bring more than "
                f"{limits.VALUES:,} values into the recipe; refer to smaller ones."
            )
        return found

    def _filled(self, parts: Sequence[str]) -> Any:
        """The value at a path. A task's defaults count as written."""
        size = 2 if parts[0] == "tasks" else 1
        task = self._implicit.task(".".join(parts[:size])) if parts[0] in ("task", "tasks") else None
        value, done, rest = (task.config, list(parts[:size]), parts[size:]) if task else (self._values, [], parts)
        for part in rest:
            value = _field(value, part, ".".join(done))
            done.append(part)
        return value


def _laid_out(items: Mapping[str, Any]) -> dict[str, Any]:
    """A map in which a stage with a grid is replaced by all its settings: `tuned` becomes `tuned[beta=0.1]`, ..."""
    result: dict[str, Any] = {}
    for key, item in items.items():
        result.update(Spread(key, item.refs) if isinstance(item, Spread) else {key: item})
    return result


def _laid_in(items: Sequence[Any]) -> list[Any]:
    """A list in which a stage with a grid is replaced by all its settings."""
    return [one for item in items for one in (item.values() if isinstance(item, Spread) else [item])]


def _field(value: Any, part: str, path: str) -> Any:
    if isinstance(value, Mapping) and part in value:
        return value[part]
    if isinstance(value, list) and part.isdigit() and int(part) < len(value):
        return value[int(part)]
    where = f"{path} has no field {part!r}" if path else f"there is no {part!r} in the recipe"
    raise BadReference(f"{where}{hint(part, value) if isinstance(value, Mapping) else ''}")


def expand_all(value: Any, look_up: Any) -> Any:
    """`expand` on every text inside a value."""
    if isinstance(value, Mapping):
        return {key: expand_all(item, look_up) for key, item in value.items()}
    if isinstance(value, list):
        return [expand_all(item, look_up) for item in value]
    return expand(value, look_up) if isinstance(value, str) else value
