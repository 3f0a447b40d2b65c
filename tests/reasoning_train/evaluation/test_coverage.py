"""What the intervals of differences cover, simulated: paired arms over seeds whose own effect is small or dominates.

Every repetition is one metric of `intervals`, so that all share the resamples.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

from reasoning_train.evaluation.intervals import Estimate, crossed_bootstrap, interval, intervals
from reasoning_train.evaluation.names import SHARE

REPEATS, PROBLEMS, RESAMPLES = 1_000, 250, 400
REGIMES = {"0.7 points": 0.007, "2 points": 0.02, "4 points": 0.04, "seeds dominate": 0.1, "problems dominate": 0.007}
"""Standard deviation of what a seed adds to the difference of the two arms."""


@cache
def differences(regime: str, seeds: int) -> np.ndarray:
    """[REPEATS, seeds, PROBLEMS], true mean 0.

    Two arms answer problems of difficulties from beta(1.5, 1.5); a problem is the same under all seeds and favours one
    of the arms (standard deviation 15 points). Where seeds dominate, the problems differ by five points only; where
    problems do, their difference is the same under all seeds but for five points.
    """
    rng = np.random.default_rng(seeds)
    seed_effect = rng.normal(0, REGIMES[regime], (REPEATS, seeds, 1))
    if regime.endswith("dominate"):
        own = 0.3 if regime == "problems dominate" else 0.0
        noise = rng.normal(0, 0.05, (REPEATS, seeds, PROBLEMS))
        return seed_effect + rng.normal(0, own, (REPEATS, 1, PROBLEMS)) + noise
    ease, favour = rng.beta(1.5, 1.5, (REPEATS, 1, PROBLEMS)), rng.normal(0, 0.15, (REPEATS, 1, PROBLEMS))
    first, second = ease + (favour + seed_effect) / 2, ease - (favour + seed_effect) / 2
    right = [rng.random((REPEATS, seeds, PROBLEMS)) < np.clip(p, 0, 1) for p in (first, second)]
    return np.subtract(*right, dtype=float)


@cache
def found(regime: str, seeds: int) -> list[Estimate]:
    return intervals(differences(regime, seeds), [None] * REPEATS, resamples=RESAMPLES)


def covering(estimates: list[Estimate]) -> float:
    return float(np.mean([e.low <= 0 <= e.high for e in estimates]))


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("seeds", [3, 5])
def test_the_intervals_cover(regime: str, seeds: int) -> None:
    assert covering(found(regime, seeds)) >= 0.93


def test_the_bootstrap_alone_does_not_where_seeds_dominate() -> None:
    """Why the t interval is there."""
    assert covering(crossed_bootstrap(differences("seeds dominate", 5), resamples=RESAMPLES)) < 0.88


def test_the_t_interval_alone_does_not_where_problems_matter() -> None:
    """Why the bootstrap is there: seeds that share their problems agree in what is special about these."""
    values = differences("problems dominate", 5)
    means = values.mean(axis=2)
    half = 2.776 * means.std(axis=1, ddof=1) / 5**0.5
    assert np.mean(np.abs(means.mean(axis=1)) <= half) < 0.6


@pytest.mark.parametrize("problems", [30, 100])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.97, 0.99, 0.999])
def test_intervals_of_accuracies_cover_up_to_their_bounds(problems: int, share: float) -> None:
    """Exactly: over every number of right answers, weighted by its probability."""
    outcomes = [np.arange(problems) < right for right in range(problems + 1)]
    chances = [math.comb(problems, k) * share**k * (1 - share) ** (problems - k) for k in range(problems + 1)]
    estimates = [interval(one, SHARE, resamples=RESAMPLES) for one in outcomes]
    covered = sum(chance for chance, e in zip(chances, estimates, strict=True) if e.low <= share <= e.high)
    assert covered >= 0.93


@pytest.mark.parametrize(("gained", "lost"), [(0.0, 0.0), (0.01, 0.0), (0.01, 0.01), (0.03, 0.01), (0.1, 0.02)])
def test_intervals_of_paired_differences_cover_where_nearly_all_problems_agree(gained: float, lost: float) -> None:
    """The bootstrap alone covers as rarely as .63 here: without a problem that differs it is a point."""
    rng = np.random.default_rng(0)
    shares = [gained, lost, 1 - gained - lost]
    counts = rng.multinomial(100, shares, size=REPEATS)
    values = np.stack([np.repeat([1.0, -1.0, 0.0], each) for each in counts])[:, None, :]
    estimates = intervals(values, [(-1.0, 1.0)] * REPEATS, resamples=RESAMPLES)
    truth = gained - lost
    assert np.mean([e.low <= truth <= e.high for e in estimates]) >= 0.93
    if gained > lost == 0.0:
        alone = crossed_bootstrap(values, resamples=RESAMPLES)
        assert np.mean([e.low <= truth <= e.high for e in alone]) < 0.7
