"""Names of columns: a dot reaches into objects and lists, `*` into every element, `#` counts them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MISSING = object()
"""The value of a column that a row lacks."""


def reach(row: Any, column: str) -> Any:
    """The value of a column; `MISSING` if there is none. If no column has the whole name, the name is a dotted path.

    >>> row = {"steps": [{"text": "a"}, {"text": "b"}]}
    >>> reach(row, "steps.1.text"), reach(row, "steps.*.text"), reach(row, "steps.#")
    ('b', ['a', 'b'], 2)
    """
    if isinstance(row, Mapping) and column in row:
        return row[column]
    if isinstance(row, list) and column == "#":
        return len(row)
    if isinstance(row, list) and column.isdecimal():
        return row[int(column)] if int(column) < len(row) else MISSING
    head, dot, rest = column.partition(".")
    if isinstance(row, list) and head == "*" and dot:
        found = [reach(element, rest) for element in row]
        return MISSING if any(value is MISSING for value in found) else found
    above = reach(row, head) if dot else MISSING
    return above if above is MISSING else reach(above, rest)


def paths(row: Mapping[str, Any]) -> list[str]:
    """The names of all columns, and of those one level below."""
    nested = [f"{name}.{inner}" for name, value in row.items() if isinstance(value, Mapping) for inner in value]
    return [*row, *nested]
