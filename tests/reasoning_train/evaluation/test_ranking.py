"""AUC, calibration and best of N against enumeration and numbers by hand."""

from __future__ import annotations

import itertools
import random
from math import exp

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasoning_train.evaluation.ranking import (
    auc,
    brier,
    calibration_error,
    debiased_calibration_error,
    isotonic,
    platt,
    resampled,
)


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.5, 0.9]), st.booleans()), max_size=20))
def test_auc_counts_pairs(pairs: list[tuple[float, bool]]) -> None:
    right, wrong = ([s for s, r in pairs if r is kind] for kind in (True, False))
    found = auc([s for s, _ in pairs], [r for _, r in pairs])
    if not right or not wrong:
        assert found is None
        return
    counted = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in itertools.product(right, wrong)]
    assert found == pytest.approx(sum(counted) / len(counted))


def test_platt_finds_what_the_outcomes_were_drawn_from() -> None:
    rng = random.Random(0)
    scores = [rng.gauss(0, 1) for _ in range(20_000)]
    right = [rng.random() < 1 / (1 + exp(-(2.0 * s - 0.7))) for s in scores]
    gain, offset = platt(scores, right)
    assert gain == pytest.approx(2.0, abs=0.1) and offset == pytest.approx(-0.7, abs=0.08)


def test_platt_of_what_separates_stays_finite() -> None:
    gain, offset = platt([-2.0, -1.0, 1.0, 2.0], [False, False, True, True])
    assert 0 < gain < 10 and abs(offset) < 1e-6
    with pytest.raises(ValueError, match="2 right and 0 wrong"):
        platt([0.0, 1.0], [True, True])


def test_by_hand() -> None:
    assert brier([0.5, 1.0], [True, False]) == pytest.approx(0.625)
    assert calibration_error([1.0, 0.0], [True, False]) == 0.0


def test_intervals_resample_problems() -> None:
    """Eight equal solutions a problem hold no more than one: the interval is that of the problems."""
    rng = random.Random(1)
    outcomes = [rng.random() < 0.5 for _ in range(200)]
    once, eight = (
        resampled(brier, [[0.5 + 0.3 * r] * n for r in outcomes], [[r] * n for r in outcomes]) for n in (1, 8)
    )
    assert once is not None and once == eight
    assert once.low < once.value < once.high
    assert once.high - once.low == pytest.approx(
        2 * 1.96 * np.std([(0.5 + 0.3 * r - r) ** 2 for r in outcomes]) / 200**0.5, rel=0.15
    )
    assert resampled(auc, [[0.1], [0.2]], [[True], [True]]) is None


def test_where_all_resamples_agree_wilson_says_what_they_cannot() -> None:
    """Ten problems that a score separates: 1.96^2 / (10 + 1.96^2) = 0.278."""
    found = resampled(auc, [[0.9, 0.1]] * 10, [[True, False]] * 10)
    assert found is not None and (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(1 - 0.2775, abs=1e-3)
    nearly = resampled(auc, [[0.9, 0.1]] * 9 + [[0.9, 0.95]], [[True, False]] * 10)
    assert nearly is not None and nearly.value < 1.0 and nearly.low < found.low


def _solutions(rng: np.random.Generator, problems: int, gain: float) -> tuple[np.ndarray, np.ndarray]:
    """8 solutions a problem, right with probability 1 / (1 + exp(-z)); what is said of them is that of gain * z."""
    z = rng.normal(0, 1, (problems, 1)) + rng.normal(0, 1, (problems, 8))
    return 1 / (1 + np.exp(-gain * z)), rng.random(z.shape) < 1 / (1 + np.exp(-z))


@pytest.mark.parametrize("gain", [1.0, 1.5])
def test_the_calibration_error_loses_half_of_its_bias_or_more(gain: float) -> None:
    p, right = _solutions(np.random.default_rng(0), 50_000, gain)
    truth, rng = calibration_error(p.ravel(), right.ravel()), np.random.default_rng(1)
    assert truth == pytest.approx({1.0: 0.0, 1.5: 0.062}[gain], abs=0.005)
    drawn = [_solutions(rng, 100, gain) for _ in range(60)]
    plain = np.mean([calibration_error(p.ravel(), right.ravel()) for p, right in drawn])
    debiased = np.mean([debiased_calibration_error(list(p), list(right)) for p, right in drawn])
    assert plain - truth > 0.01 * (gain == 1.0)
    assert abs(debiased - truth) < 0.6 * (plain - truth)


def test_no_bootstrap_interval_covers_the_error_of_what_is_calibrated() -> None:
    """Why none is printed: percentile and basic intervals of exactly right probabilities, 60 times."""
    rng, covered = np.random.default_rng(2), [0, 0]
    for _ in range(60):
        p, right = _solutions(rng, 60, 1.0)
        chosen = rng.integers(60, size=(200, 60))
        found = [calibration_error(p[rows].ravel(), right[rows].ravel()) for rows in chosen]
        value, (low, high) = calibration_error(p.ravel(), right.ravel()), np.quantile(found, [0.025, 0.975])
        covered[0] += low <= 0
        covered[1] += 2 * value - high <= 0
    assert covered[0] == 0 and covered[1] < 0.8 * 60


def test_a_problem_may_have_any_number_of_solutions() -> None:
    """One problem resampled is itself, so nothing is taken away: |1 - .9| * 2 and |0 - .1| over three."""
    assert debiased_calibration_error([[0.9, 0.9, 0.1]], [[True, True, False]]) == pytest.approx(0.3 / 3)


def test_isotonic_by_hand() -> None:
    assert isotonic([3, 1, 2], [True, False, True]) == [(1.0, 0.0), (2.5, 1.0)]
    assert isotonic([1, 2, 3], [True, True, False]) == [(2.0, 2 / 3)]  # the score says nothing
    # equal scores share a pool
    assert isotonic([1, 2, 2, 3], [True, False, True, True]) == [(5 / 3, 2 / 3), (3.0, 1.0)]


@given(st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=1, max_size=30))
def test_isotonic_never_falls_keeps_the_mean_and_is_no_worse_than_any_other_level(rows: list[tuple[int, bool]]) -> None:
    scores, right = zip(*rows, strict=True)
    knots = isotonic(scores, right)
    assert knots == sorted(knots) and all(a[1] < b[1] for a, b in itertools.pairwise(knots))
    assert all(min(scores) <= x <= max(scores) for x, _ in knots)
    assert min(y for _, y in knots) <= sum(right) / len(right) <= max(y for _, y in knots)
