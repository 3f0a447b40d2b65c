"""Converts records to the flat dictionaries that Parquet holds, and back, by the dataclass's type hints alone.

Tuples become lists, nested records become dictionaries, enums become their text. A mapping becomes one JSON text, since
every reader of Parquet accepts a text column and `datasets` accepts no Arrow maps.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

Single = Annotated[float, "float32"]
"""A number that Parquet stores in single precision."""
Long = Annotated[int, "int64"]
"""A count that may exceed 2^31."""
Tags = dict[str, str]
"""What rows are grouped by: `{"subject": "algebra", "level": "3"}`."""
Measures = dict[str, float]
"""Additional numbers of a row: `{"steps": 3.0}`."""

Way = Callable[[Any], Any]


def hints_of(record: type) -> dict[str, Any]:
    """Field name -> type hint of a dataclass, in the order of its fields."""
    hints = get_type_hints(record, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(record)}


def bare(hint: Any) -> Any:
    """A type hint without `Annotated` and without `None`.

    >>> bare(float | None)
    <class 'float'>
    """
    if get_origin(hint) is Annotated:
        return bare(get_args(hint)[0])
    rest = [arg for arg in get_args(hint) if arg is not type(None)]
    return bare(rest[0]) if type(None) in get_args(hint) else hint


def to_row(record: Any) -> dict[str, Any]:
    """The fields of a record as plain values."""
    return {
        name: way(getattr(record, name)) if way else getattr(record, name) for name, way, _ in _ways(record.__class__)
    }


def from_row(record: type, row: Mapping[str, Any]) -> dict[str, Any]:
    """The constructor arguments of a record, from a row. Other columns are ignored. A field that the row lacks keeps
    its default."""
    return {name: way(row[name]) if way else row[name] for name, _, way in _ways(record) if name in row}


@cache
def _ways(record: type) -> list[tuple[str, Way | None, Way | None]]:
    """(field, function to a plain value, function back). None if no conversion is needed."""
    return [(name, *_way(bare(hint))) for name, hint in hints_of(record).items()]


def _way(hint: Any) -> tuple[Way | None, Way | None]:
    if hint in (Tags, Measures):
        return (
            lambda mapping: json.dumps(mapping, sort_keys=True, ensure_ascii=False) if mapping else "",
            lambda text: json.loads(text) if text else {},
        )
    if get_origin(hint) is tuple:
        inner = get_args(hint)[0]
        if get_origin(inner) is tuple:
            return lambda values: [list(one) for one in values], lambda values: tuple(map(tuple, values or ()))
        return _of_records(inner) if dataclasses.is_dataclass(inner) else (list, lambda values: tuple(values or ()))
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return str, hint
    return None, None


def _of_records(inner: Any) -> tuple[Way, Way]:
    return (
        lambda records: [to_row(one) for one in records],
        lambda rows: tuple(inner(**from_row(inner, one)) for one in rows or ()),
    )
