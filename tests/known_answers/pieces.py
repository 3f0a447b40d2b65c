"""Every piece that a recipe can choose, found through the registries; and what a piece's config has for defaults."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

import data_gen
import reasoning_train
from data_gen.registry import Part, Piece, Registry, Unkeyed
from reasoning_train.api.stage import StageDef
from reasoning_train.recipe.asked import asked

PACKAGES = (data_gen, reasoning_train)


def every_piece() -> dict[tuple[str, str], Any]:
    """(kind, name) -> config class or StageDef, of all registries and of the parts that have versions of their own."""
    found = {
        (registry.kind, name): registry.get(name)
        for registry in registries()
        for name in registry.names()
        if _ours(_class(registry.get(name)))
    }
    parts = {("part", part.__name__): part for part in _below(Part) if not issubclass(part, Piece) and _ours(part)}
    return dict(sorted({**found, **parts}.items()))


def registries() -> list[Registry[Any]]:
    """All registries, by the modules that make one: a new kind of piece is guarded without an edit here."""
    modules = [name for package in PACKAGES for name in _modules_with_registries(Path(package.__file__ or "").parent)]
    objects = [value for name in modules for value in vars(importlib.import_module(name)).values()]
    return list(dict.fromkeys(value for value in objects if isinstance(value, Registry)))


def _modules_with_registries(root: Path) -> Iterator[str]:
    for path in sorted(root.rglob("*.py")):
        if "= Registry(" in path.read_text(encoding="utf-8"):
            parts = path.relative_to(root.parent).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _below(cls: type[Any]) -> Iterator[type[Any]]:
    for sub in cls.__subclasses__():
        yield sub
        yield from _below(sub)


def _ours(cls: type[Any]) -> bool:
    return cls.__module__.partition(".")[0] in {package.__name__ for package in PACKAGES}


def _class(piece: Any) -> type[Any]:
    return piece.config if isinstance(piece, StageDef) else piece


def version_of(piece: Any) -> int:
    """The version that enters keys."""
    version: int = piece.version
    return version


def defaults_of(piece: Any) -> dict[str, dict[str, Any]]:
    """Class -> field -> default, of a piece's config and of the plain models inside it. Pieces and parts inside have
    versions, and entries, of their own."""
    found: dict[str, dict[str, Any]] = {}
    waiting = [_class(piece)]
    while waiting:
        model = waiting.pop()
        if model.__name__ in found:
            continue
        fields = {name: field for name, field in model.model_fields.items() if not _unkeyed(field)}
        found[model.__name__] = {
            name: asked(field.get_default(call_default_factory=True, validated_data={}))
            for name, field in fields.items()
            if not field.is_required()
        }
        inside = [inner for field in fields.values() for inner in models_in(field.annotation)]
        waiting += [inner for inner in inside if not issubclass(inner, Part)]
    return dict(sorted(found.items()))


def _unkeyed(field: Any) -> bool:
    return any(isinstance(mark, Unkeyed) for mark in field.metadata)


def models_in(tp: Any) -> Iterator[type[BaseModel]]:
    """The config classes inside a type."""
    if isinstance(tp, type) and issubclass(tp, BaseModel):
        yield tp
    for argument in get_args(tp):
        yield from models_in(argument)
