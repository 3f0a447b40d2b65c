"""Which kinds of outputs each reference of a config accepts, from the types of its fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from reasoning_train.api.refs import OutputKind, Ref
from reasoning_train.recipe.yaml_core import join


def wanted(config: BaseModel, place: str = "") -> Iterator[tuple[str, Ref, list[OutputKind]]]:
    """(dotted path, reference, accepted kinds) of every reference in a validated config. No kinds: any."""
    for name, field in type(config).model_fields.items():
        marks = [mark for mark in field.metadata if isinstance(mark, OutputKind)]
        yield from _wanted(getattr(config, name), [(field.annotation, marks)], join(place, name))


Typed = list[tuple[Any, list[OutputKind]]]
"""Alternatives of a type, each with its kinds."""


def _wanted(value: Any, types: Typed, place: str) -> Iterator[tuple[str, Ref, list[OutputKind]]]:
    types = [alternative for tp, marks in types for alternative in _alternatives(tp, marks)]
    if isinstance(value, Ref):
        yield place, value, [mark for tp, marks in types if tp is Ref for mark in marks]
    elif isinstance(value, BaseModel):
        yield from wanted(value, place)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _wanted(item, _inside(types, dict), join(place, str(name)))
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            yield from _wanted(item, _inside(types, (list, tuple)), join(place, str(i)))


def _alternatives(tp: Any, marks: list[OutputKind]) -> Typed:
    if get_origin(tp) is Annotated:
        inner, *metadata = get_args(tp)
        return _alternatives(inner, [*marks, *(mark for mark in metadata if isinstance(mark, OutputKind))])
    if get_origin(tp) in (Union, UnionType):
        return [alternative for argument in get_args(tp) for alternative in _alternatives(argument, marks)]
    return [(tp, marks)]


def _inside(types: Typed, containers: Any) -> Typed:
    """The item types of the alternatives that are such containers."""
    found = [
        tp
        for tp, _ in types
        for origin in [get_origin(tp)]
        if isinstance(origin, type) and issubclass(origin, containers)
    ]
    return [
        (argument, [])
        for tp in found
        for argument in get_args(tp)[-1 if containers is dict else 0 :]
        if argument is not ...
    ]
