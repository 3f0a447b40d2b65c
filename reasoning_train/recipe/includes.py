"""Merges a recipe, the files that it includes and the command line's `--set` into one document.

Maps are merged left to right and other values are replaced. The recipe overrides its includes; `--set` is applied last.
A task under a name of its own has includes of its own: `tasks: {svamp: {include: [configs/tasks/svamp.yaml]}}` has the
fields of that file's `task:`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from data_gen.errors import nearest
from reasoning_train.api.checkout import CHECKOUT
from reasoning_train.recipe import limits
from reasoning_train.recipe.errors import RecipeError
from reasoning_train.recipe.likes import written_out
from reasoning_train.recipe.origins import Origins
from reasoning_train.recipe.yaml_core import Document, join, parse_value, read_yaml

SET = "--set"
"""Origin of values from the command line."""
_GROUPS = ("stages", "rounds", "grids", "tasks")
"""Maps whose entries the recipe names. `--set` may change an entry but not add one."""


def load_document(path: Path, overrides: Sequence[str] = ()) -> Document:
    """The merged document of a recipe. RecipeError for files that are missing, unreadable or include each other in a
    cycle."""
    if not path.is_file():
        what = "is a folder; name the recipe's file" if path.is_dir() else "there is no such recipe"
        recipes = [_shown(found) for found in (CHECKOUT / "recipes").rglob("*.yaml")]
        close = nearest(str(path), recipes)
        hint = close if close.startswith(" Did") else " `reasoning-train list recipes` names those that ship."
        raise RecipeError(f"{path}: {what}.{hint}")
    document = _Files().expanded(path, ())
    for override in overrides:
        document = _override(document, override)
    return written_out(document)


class _Files:
    """Reads the files of one recipe, each once, however many include it."""

    def __init__(self) -> None:
        self._known: dict[Path, Document] = {}
        self._values = limits.values()
        self._named = limits.Count(limits.INCLUDES, "includes; put files together")

    def expanded(self, path: Path, stack: tuple[Path, ...]) -> Document:
        """A file merged over what it includes. `stack`: the files whose includes led here."""
        shown, real = _shown(path), path.resolve()
        if real in stack:
            circle = " -> ".join(_shown(p) for p in (*stack[stack.index(real) :], real))
            raise RecipeError(f"{shown}: the includes form a circle: {circle}.")
        if real not in self._known:
            self._known[real] = self._read(path, shown, (*stack, real))
        return self._known[real]

    def _read(self, path: Path, shown: str, stack: tuple[Path, ...]) -> Document:
        own = read_yaml(path, shown, self._values)
        merged = self._included(own, "", path, stack)
        tasks = own.value.get("tasks")
        for name, task in tasks.items() if isinstance(tasks, dict) else ():
            if isinstance(task, dict) and "include" in task:
                merged = merge(merged, self._included(own, join("tasks", name), path, stack))
        return merge(merged, own)

    def _included(self, own: Document, place: str, path: Path, stack: tuple[Path, ...]) -> Document:
        """What the `include` at a place of a file brings. It is taken out of the file.

        Args:
            place: Empty: the top of the file. `tasks.NAME`: the `task` of every included file is brought there.
        """
        merged = Document({})
        for name, origin in _names(own, place, _shown(path)):
            self._named.add(1, lambda origin=origin: origin)  # type: ignore[misc]
            brought = self.expanded(_find(name, path, origin), stack)
            merged = merge(merged, _as_task(brought, place, name, origin) if place else brought)
        _inside(own, place).pop("include", None)
        own.origins.forget(join(place, "include"))
        return merged


def _inside(document: Document, place: str) -> dict[str, Any]:
    """The map at a place of a document."""
    found: dict[str, Any] = document.value
    for key in place.split(".") if place else ():
        found = found[key]
    return found


def _names(document: Document, place: str, shown: str) -> Iterator[tuple[str, str]]:
    """(file, where it is named) of the `include` at a place."""
    names, at = _inside(document, place).get("include", []), join(place, "include")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RecipeError(f"{document.origins.get(at, shown)}: {at}: expected a list of files, got {names!r}.")
    for i, name in enumerate(names):
        yield name, document.origins[f"{at}.{i}"]


def _as_task(brought: Document, place: str, name: str, origin: str) -> Document:
    """The `task` of an included file, at `tasks.NAME`. RecipeError for a file that has anything else."""
    if list(brought.value) != ["task"]:
        has = ", ".join(map(repr, brought.value)) or "nothing"
        raise RecipeError(
            f"{origin}: {place}.include: expected a file that has `task` alone, such as those in configs/tasks; "
            f"{name} has {has}."
        )
    group, _, own = place.partition(".")
    origins = Origins({place: origin})
    origins.graft(place, brought.origins, "task")
    return Document({group: {own: brought.value["task"]}}, origins)


def _find(name: str, including: Path, origin: str) -> Path:
    places = [including.parent, Path.cwd(), CHECKOUT]
    for place in places:
        if (place / name).is_file():
            return place / name
    looked = ", ".join(dict.fromkeys(_shown(place / name) for place in places))
    raise RecipeError(f"{origin}: include: there is no file {name!r}; looked for {looked}.{nearest(name, _configs())}")


def _configs() -> Iterable[str]:
    return [path.relative_to(CHECKOUT).as_posix() for path in (CHECKOUT / "configs").rglob("*.yaml")]


def _shown(path: Path) -> str:
    """A path as messages print it: relative if that is shorter."""
    relative = os.path.relpath(path)
    return min(str(path), relative, key=len)


def merge(below: Document, above: Document) -> Document:
    """Merge maps key by key, with `above` taking precedence; replace lists and scalars as a whole."""
    origins = Origins(below.origins)
    value = _merge(below.value, above.value, "", origins)
    origins.update(above.origins)
    return Document(value, origins)


def _merge(below: dict[str, Any], above: dict[str, Any], path: str, origins: Origins) -> dict[str, Any]:
    merged = dict(below)
    for key, item in above.items():
        here, old = join(path, key), merged.get(key)
        if isinstance(old, dict) and isinstance(item, dict):
            merged[key] = _merge(old, item, here, origins)
        else:
            if key in merged:
                origins.forget(here)
            merged[key] = item
    return merged


def _override(document: Document, text: str) -> Document:
    path, equals, written = text.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise RecipeError(f"{SET} {text}: expected PATH=VALUE, such as {SET} stages.sample.n=4.")
    if keys[0] == "include" or (keys[0] == "tasks" and keys[2:] == ["include"]):
        raise RecipeError(f"{SET} {text}: `include` cannot be set; set the values that it brings, or copy the recipe.")
    value = parse_value(written, f"{SET} {text}")
    origins = Origins(document.origins)
    origins.forget(".".join(keys))
    _note(value, ".".join(keys), origins)
    return Document(_put(document.value, keys, value, text, ()), origins)


def _put(inside: Any, keys: Sequence[str], value: Any, text: str, above: tuple[str, ...]) -> Any:
    """A copy of `inside` with `value` at `keys`. Missing maps on the way are created."""
    if not keys:
        return value
    key, here = keys[0], ".".join(above)
    if isinstance(inside, list):
        if not key.isdigit() or int(key) >= len(inside):
            raise RecipeError(
                f"{SET} {text}: {here} is a list of {len(inside)}, so {key!r} must be a number below that."
            )
        return [
            _put(item, keys[1:], value, text, (*above, key)) if i == int(key) else item for i, item in enumerate(inside)
        ]
    if inside is None:
        inside = {}
    if not isinstance(inside, dict):
        whole = f" Set the field where it is written, or {here} as a whole." if "${" in str(inside) else ""
        raise RecipeError(f"{SET} {text}: {here} is {inside!r}, which has no field {key!r}.{whole}")
    if key not in inside and len(keys) > 1 and above and above[-1] in _GROUPS:
        raise RecipeError(f"{SET} {text}: there is no {key!r} in {here}.{nearest(key, inside)}")
    return {**inside, key: _put(inside.get(key), keys[1:], value, text, (*above, key))}


def _note(value: Any, path: str, origins: Origins) -> None:
    origins[path] = SET
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        _note(item, join(path, str(key)), origins)
