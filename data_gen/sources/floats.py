"""Floats as the decimals that a person would read: the shortest one that names the float in its own width."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyarrow import DataType, Schema, StructType

_MOST_DIGITS = 15
"""Decimal digits that a double always keeps."""
_MOST_MEANT = 12
"""A fraction that rounds from a longer form to at most so many digits is the trace of a computation (0.1 + 0.2)."""


def decimal_text(value: float | Decimal) -> str:
    """A finite number in positional notation, without a trailing `.0`.

    >>> decimal_text(0.1 + 0.2), decimal_text(51.0), decimal_text(1e23), decimal_text(2.5e-7)
    ('0.3', '51', '100000000000000000000000', '0.00000025')
    >>> decimal_text(9007199254740991.0), decimal_text(2 / 3)
    ('9007199254740991', '0.6666666666666666')
    """
    shortest = value if isinstance(value, Decimal) else Decimal(repr(value + 0.0))  # minus zero is zero
    if isinstance(value, float) and not value.is_integer() and len(shortest.as_tuple().digits) > _MOST_DIGITS:
        rounded = Decimal(f"{value:.{_MOST_DIGITS}g}").normalize()
        shortest = rounded if len(rounded.as_tuple().digits) <= _MOST_MEANT else shortest
    text = f"{shortest:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def row_reader(schema: Schema | StructType) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """What to do with every row of a table: narrow floats become the doubles that look like them."""
    widen = {field.name: found for field in schema if (found := _widener(field.type)) is not None}
    return lambda row: {**row, **{name: wider(row[name]) for name, wider in widen.items()}}


def _widener(kind: DataType) -> Callable[[Any], Any] | None:
    """Makes doubles of the values of an Arrow type, so that a narrow 0.1 stays 0.1. None: it holds no narrow floats."""
    import numpy
    from pyarrow import types

    if types.is_float16(kind) or types.is_float32(kind):
        narrow = numpy.float16 if types.is_float16(kind) else numpy.float32
        return lambda value: None if value is None else float(str(narrow(value)))
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        one = _widener(kind.value_type)
        return None if one is None else lambda values: None if values is None else [one(value) for value in values]
    if types.is_struct(kind):
        inside = row_reader(kind)
        return lambda row: None if row is None else inside(row)
    return None
