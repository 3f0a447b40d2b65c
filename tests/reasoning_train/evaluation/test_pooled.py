"""Means over seeds from each seed's estimate: by hand, and how often their intervals hold the truth."""

from __future__ import annotations

import numpy as np
import pytest

from reasoning_train.evaluation.intervals import Estimate, score_interval
from reasoning_train.evaluation.pooled import over_seeds


def test_the_interval_by_hand() -> None:
    """Three seeds, standard deviation 0.1, t = 4.303: 0.2484 over seeds, 0.03 over problems."""
    found = over_seeds([Estimate(value, value - 0.03, value + 0.04) for value in (0.4, 0.5, 0.6)])
    assert found.value == pytest.approx(0.5)
    assert (found.low, found.high) == pytest.approx(
        (0.5 - np.hypot(0.2484, 0.03), 0.5 + np.hypot(0.2484, 0.04)), abs=1e-3
    )


def test_one_seed_is_itself_and_bounds_hold() -> None:
    one = Estimate(0.9, 0.7, 0.95)
    assert over_seeds([one]) == one
    wide = over_seeds([Estimate(0.1, 0.0, 0.2), Estimate(0.9, 0.8, 1.0)], (0.0, 1.0))
    assert (wide.value, wide.low, wide.high) == (0.5, 0.0, 1.0)


@pytest.mark.parametrize(("of_seeds", "of_problems"), [(0.6, 0.3), (0.1, 1.5), (0.0, 0.0)])
def test_intervals_cover_the_truth(of_seeds: float, of_problems: float) -> None:
    """300 experiments of five seeds on 60 problems, where seeds differ, problems differ, or nothing but chance does."""
    rng, covered, seeds, problems, times = np.random.default_rng(1), 0, 5, 60, 300
    logits = rng.normal(0, of_seeds, (100_000, 1)) + rng.normal(0, of_problems, (100_000, 1))
    truth = float((1 / (1 + np.exp(-logits))).mean())
    for _ in range(times):
        chance = 1 / (1 + np.exp(-(rng.normal(0, of_seeds, (seeds, 1)) + rng.normal(0, of_problems, (1, problems)))))
        right = (rng.random((seeds, problems)) < chance).astype(float)
        found = over_seeds([score_interval(row, (0.0, 1.0)) for row in right], (0.0, 1.0))
        covered += found.low <= truth <= found.high
    assert covered / times >= 0.93
