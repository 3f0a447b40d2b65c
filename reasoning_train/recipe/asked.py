"""What a validated config asks for: the fields that differ from their defaults, and the versions of the pieces that it
names.

A field at its default is left out at every depth, so that a new field with a default changes no key. A known-answer
test guards the defaults: a changed default needs a new version.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from data_gen.registry import Part, Piece, Unkeyed
from reasoning_train.recipe.validate import plain
from reasoning_train.recipe.yaml_core import join


def asked(value: Any, files: Mapping[Path, str] = MappingProxyType({})) -> Any:
    """A validated config, or a value inside one, as plain data without `Unkeyed` fields and fields at their defaults.

    `uses` and references are always kept. Paths become the text that `files` gives for them.

    >>> from data_gen.search.algorithms.mcts import Mcts, Puct
    >>> asked(Mcts(simulations=8, select=Puct(c=2)))
    {'uses': 'mcts', 'simulations': 8, 'select': {'uses': 'puct', 'c': 2.0}}
    """
    if isinstance(value, BaseModel):
        kept = {name: getattr(value, name) for name, _ in _keyed(value) if not _at_default(value, name)}
        return {name: asked(item, files) for name, item in kept.items()}
    if isinstance(value, Mapping):
        return {str(name): asked(item, files) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [asked(item, files) for item in value]
    return plain(value, files)


def pieces(value: Any, always: Sequence[type[Piece]] = ()) -> dict[str, tuple[str, int]]:
    """Dotted path -> (name, version) of every part with a version in a validated config, including parts at their
    defaults. The pieces that the stage uses whatever its config says (`always`) stand under `always.NAME`.

    >>> from data_gen.search.algorithms.mcts import Mcts
    >>> from data_gen.search.votes.majority import Majority
    >>> [(place, name) for place, (name, version) in pieces(Mcts(), always=(Majority,)).items()]
    [('', 'mcts'), ('expand', 'Expand'), ('select', 'puct'), ('always.majority', 'majority')]
    """
    found = dict(_pieces(value, ""))
    for piece in always:
        name = str(piece.model_fields["uses"].default)
        found[join("always", name)] = (name, piece.version)
    return found


def _pieces(value: Any, place: str) -> Iterator[tuple[str, tuple[str, int]]]:
    if isinstance(value, Part):
        yield place, (str(getattr(value, "uses", type(value).__name__)), type(value).version)
    if isinstance(value, BaseModel):
        inside = [(name, getattr(value, name)) for name, _ in _keyed(value)]
    elif isinstance(value, Mapping):
        inside = [(str(name), item) for name, item in value.items()]
    elif isinstance(value, (list, tuple)):
        inside = [(str(i), item) for i, item in enumerate(value)]
    else:
        return
    for name, item in inside:
        yield from _pieces(item, join(place, name))


def _keyed(model: BaseModel) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in type(model).model_fields.items():
        if not any(isinstance(mark, Unkeyed) for mark in field.metadata):
            yield name, field


def _at_default(model: BaseModel, name: str) -> bool:
    field = type(model).model_fields[name]
    if name == "uses" or field.is_required():
        return False
    fields = {other: getattr(model, other) for other in type(model).model_fields}
    return _same(getattr(model, name), field.get_default(call_default_factory=True, validated_data=fields))


def _same(one: Any, other: Any) -> bool:
    """Whether two values are equal as config. A default written as a list or text may be a tuple or a path in a
    validated config."""
    if isinstance(one, BaseModel):
        return type(one) is type(other) and all(
            _same(getattr(one, name), getattr(other, name)) for name, _ in _keyed(one)
        )
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(item, other[name]) for name, item in one.items())
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, Path):
        return str(one) == str(other)
    # 1 equals 1.0, but true does not equal 1.
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
