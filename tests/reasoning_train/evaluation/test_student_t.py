"""Student's t against printed tables and against its density, integrated."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasoning_train.evaluation.student_t import t_quantile, within_t


@pytest.mark.parametrize(
    ("level", "freedom", "t"),
    [
        (0.95, 1, 12.706),
        (0.95, 2, 4.303),
        (0.95, 3, 3.182),
        (0.95, 4, 2.776),
        (0.95, 9, 2.262),
        (0.95, 29, 2.045),
        (0.95, 100, 1.984),
        (0.99, 4, 4.604),
        (0.90, 10, 1.812),
        (0.50, 1, 1.000),
    ],
)
def test_quantiles_are_those_of_the_tables(level: float, freedom: int, t: float) -> None:
    assert t_quantile(level, freedom) == pytest.approx(t, abs=6e-4)


@given(st.floats(0, 20), st.integers(1, 40))
def test_the_sum_is_the_integral_of_the_density(t: float, freedom: int) -> None:
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(freedom * math.pi)
    x = np.linspace(-t, t, 4001)
    density = scale * (1 + x**2 / freedom) ** (-(freedom + 1) / 2)
    assert within_t(t, freedom) == pytest.approx(float(np.trapezoid(density, x)), abs=1e-4)


@given(st.floats(0.01, 0.999), st.integers(1, 60))
def test_the_quantile_inverts_the_distribution(level: float, freedom: int) -> None:
    assert within_t(t_quantile(level, freedom), freedom) == pytest.approx(level, abs=1e-9)


@pytest.mark.parametrize(("level", "freedom"), [(0.0, 4), (1.0, 4), (0.95, 0)])
def test_what_has_no_quantile_is_refused(level: float, freedom: int) -> None:
    with pytest.raises(ValueError, match=f"got level={level}, freedom={freedom}"):
        t_quantile(level, freedom)
