"""Outcomes as plain data, rounded so that other processors agree, and when two of them are equal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

DIGITS = 4
"""Significant digits that are recorded, whatever the size of the number. Other processors round the later ones
differently."""
NOTHING = 1e-12
"""What is smaller is the rounding of double precision around 0."""
SINGLE = 1e-5
"""The same for sums of numbers around 1 in single precision."""


def rounded(value: Any) -> Any:
    """Plain data with numbers of `DIGITS` significant digits."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(name): rounded(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in value]
    return value if value is None or isinstance(value, (bool, int)) else str(value)


def single(value: Any) -> Any:
    """Plain data in which the numbers that single precision does not tell from 0 are 0: for the cases of pieces whose
    terms cancel."""
    if isinstance(value, Mapping):
        return {name: single(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [single(item) for item in value]
    return 0.0 if isinstance(value, float) and abs(value) < SINGLE else value


def equal(then: Any, now: Any) -> bool:
    """Whether two leaves are equal; numbers may differ by two in the last recorded digit."""
    if isinstance(then, bool) or isinstance(now, bool):
        return then is now
    if isinstance(then, float) or isinstance(now, float):
        numbers = isinstance(then, (int, float)) and isinstance(now, (int, float))
        return numbers and math.isclose(then, now, rel_tol=2 * 10 ** (1 - DIGITS), abs_tol=NOTHING)
    return bool(then == now)
