"""Student's t distribution with whole degrees of freedom, by the finite sums of its distribution function.

SciPy is not a dependency, and intervals over seeds need only one quantile.
"""

from __future__ import annotations

from functools import cache
from math import atan, cos, pi, sin, sqrt

_HALVINGS = 200
"""Number of halvings of a quantile's bracket, more than a float can resolve."""


def within_t(t: float, freedom: int) -> float:
    """P(|T| < t) for t >= 0 and `freedom` >= 1 degrees of freedom (Abramowitz & Stegun 1964, 26.7.3 and 26.7.4).

    >>> round(within_t(1.0, 1), 4)
    0.5
    """
    angle = atan(t / sqrt(freedom))
    odd = freedom % 2
    # Terms of the sum over powers of the cosine: cos, 2/3 cos^3, ... (odd) or 1, 1/2 cos^2, 3/8 cos^4, ... (even).
    term, total = (cos(angle) if odd else 1.0), 0.0
    for power in range(2 + odd, freedom + 1, 2):
        total += term
        term *= (power - 1) / power * cos(angle) ** 2
    return 2 / pi * (angle + sin(angle) * total) if odd else sin(angle) * total


@cache
def t_quantile(level: float, freedom: int) -> float:
    """The t for which P(|T| < t) = `level`: 2.776 for 95 % and 4 degrees of freedom.

    ValueError unless 0 < level < 1 and freedom >= 1.
    """
    if not 0 < level < 1 or freedom < 1:
        raise ValueError(f"a t quantile needs 0 < level < 1 and freedom >= 1, got level={level}, freedom={freedom}")
    low, high = 0.0, 1.0
    while within_t(high, freedom) < level:
        low, high = high, 2 * high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if within_t(middle, freedom) < level else (low, middle)
    return high
