"""How well scores separate right from wrong solutions: AUC (pooled and within problems), Brier score, calibration
error.

Intervals resample problems, because the solutions of one problem are not independent.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from reasoning_train.evaluation.intervals import LEVEL, Estimate, wilson
from reasoning_train.evaluation.names import SHARE

RESAMPLES = 1_000
BINS = 10
"""Bins of calibration errors, of equal width."""
NEWTON_STEPS = 100
Statistic = Callable[[np.ndarray, np.ndarray], float | None]
"""(scores, outcomes) of many solutions -> a number, None if it is undefined."""


def resampled(
    statistic: Statistic, scores: Sequence[Sequence[float]], right: Sequence[Sequence[bool]]
) -> Estimate | None:
    """A statistic between 0 and 1 over all solutions, with a percentile interval over resampled problems, at least as
    wide as Wilson's (`wilson`): the resamples of an AUC of 1 all agree, and those just below nearly do. scores, right:
    one sequence per problem."""
    groups = [(np.asarray(s, dtype=float), np.asarray(r, dtype=bool)) for s, r in zip(scores, right, strict=True)]

    def over(chosen: Sequence[int] | np.ndarray) -> float | None:
        return statistic(np.concatenate([groups[i][0] for i in chosen]), np.concatenate([groups[i][1] for i in chosen]))

    value, rng = over(range(len(groups))), np.random.default_rng(0)
    found = [f for _ in range(RESAMPLES) if (f := over(rng.integers(len(groups), size=len(groups)))) is not None]
    if value is None:
        return None
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    unseen = wilson(value, len(groups), SHARE)
    return Estimate(value, min(float(low), unseen.low), max(float(high), unseen.high))


def auc(scores: Sequence[float] | np.ndarray, right: Sequence[bool] | np.ndarray) -> float | None:
    """Share of (right, wrong) pairs in which the right one scores higher. Ties count half. None if one kind is missing.

    >>> auc([0.9, 0.5, 0.5], [True, True, False])
    0.75
    """
    s, r = np.asarray(scores, dtype=float), np.asarray(right, dtype=bool)
    better, worse = s[r], s[~r]
    if not len(better) or not len(worse):
        return None
    ordered = np.sort(worse)
    below, upto = np.searchsorted(ordered, better, "left"), np.searchsorted(ordered, better, "right")
    return float((below + upto).sum() / (2 * len(better) * len(worse)))


def brier(p: Sequence[float] | np.ndarray, right: Sequence[bool] | np.ndarray) -> float:
    """Brier score: mean squared difference between probability and outcome."""
    return float(np.mean((np.asarray(p, dtype=float) - np.asarray(right, dtype=float)) ** 2))


def calibration_error(p: Sequence[float] | np.ndarray, right: Sequence[bool] | np.ndarray) -> float:
    """Expected calibration error over `BINS` bins of equal width: mean |share right - mean probability|, weighted by
    members.

    >>> round(calibration_error([0.95, 0.95, 0.05, 0.05], [True, False, False, False]), 4)
    0.25
    """
    q, r = np.asarray(p, dtype=float), np.asarray(right, dtype=float)
    return float(np.abs(_bin_sums(q, r)).sum() / max(1, len(q)))


def debiased_calibration_error(p: Sequence[Sequence[float]], right: Sequence[Sequence[bool]]) -> float:
    """`calibration_error` over all solutions minus an estimate of its bias. p, right: one sequence per problem.

    Noise in a bin's share of right solutions can only raise the mean of |share right - mean probability|: 100 problems
    of 8 solutions with exactly right probabilities are expected to have .032. The bias that resampling the problems
    adds estimates the bias of sampling them (Efron & Tibshirani 1993, chapter 10); subtracting it removes about half of
    it. There is no interval: near 0 the distribution is not regular, and percentile, basic and shifted bootstrap
    intervals cover .00, .61 and .54 there (simulated in `tests/reasoning_train/evaluation/test_ranking.py`).
    """
    pairs = [(np.asarray(q, dtype=float), np.asarray(r, dtype=float)) for q, r in zip(p, right, strict=True)]
    sums = [_bin_sums(q, r) for q, r in pairs]
    gaps, members = np.stack(sums), np.array([len(q) for q in p])
    times = np.random.default_rng(0).multinomial(len(gaps), np.full(len(gaps), 1 / len(gaps)), size=RESAMPLES)
    value = float(np.abs(gaps.sum(0)).sum() / members.sum())
    resampled_value = float(np.mean(np.abs(times @ gaps).sum(1) / (times @ members)))
    return max(0.0, 2 * value - resampled_value)


def platt(scores: Sequence[float], right: Sequence[bool]) -> tuple[float, float]:
    """(gain, offset) that maximise the likelihood of sigmoid(gain * score + offset), with Platt's smoothed targets, by
    Newton's method.

    ValueError if all outcomes are alike.
    """
    s, r = np.asarray(scores, dtype=float), np.asarray(right, dtype=bool)
    n, k = int(r.sum()), int((~r).sum())
    if not n or not k:
        raise ValueError(f"{n} right and {k} wrong solutions: a calibration needs both")
    target = np.where(r, (n + 1) / (n + 2), 1 / (k + 2))
    x = np.stack([s, np.ones_like(s)], 1)
    w = np.array([0.0, np.log(n / k)])
    for _ in range(NEWTON_STEPS):
        p = 1 / (1 + np.exp(-np.clip(x @ w, -30, 30)))
        gradient = x.T @ (p - target)
        step = np.linalg.solve(x.T @ (x * (p * (1 - p))[:, None]) + 1e-9 * np.eye(2), gradient)
        size = 1.0
        while size > 1e-6 and _deviance(x, w - size * step, target) > _deviance(x, w, target):
            size /= 2
        w = w - size * step
        if np.abs(gradient).max() < 1e-8 * len(s):
            break
    return float(w[0]), float(w[1])


def isotonic(scores: Sequence[float], right: Sequence[bool]) -> list[tuple[float, float]]:
    """Knots (score, probability) of the isotonic regression of outcomes on scores, by pooling adjacent violators
    (Zadrozny & Elkan 2002). One knot per pool, at its mean score; a single one if scores carry no information.

    >>> isotonic([1, 2, 3, 4, 5, 6], [False, True, False, False, True, True])
    [(1.0, 0.0), (3.0, 0.3333333333333333), (5.5, 1.0)]
    """
    pools: list[tuple[float, float, int]] = []  # sums of scores and outcomes, number
    for score, tied in itertools.groupby(sorted(zip(map(float, scores), right, strict=True)), key=lambda pair: pair[0]):
        outcomes = [outcome for _, outcome in tied]
        pools.append((score * len(outcomes), float(sum(outcomes)), len(outcomes)))
        while len(pools) > 1 and pools[-2][1] * pools[-1][2] >= pools[-1][1] * pools[-2][2]:
            (s, r, n), (t, q, m) = pools[-2:]
            pools[-2:] = [(s + t, r + q, n + m)]
    return [(s / n, r / n) for s, r, n in pools]


def _bin_sums(p: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Sum of (right - p) over the members of each bin of equal width: [BINS]."""
    return np.bincount(np.minimum((p * BINS).astype(int), BINS - 1), right - p, minlength=BINS)


def _deviance(x: np.ndarray, w: np.ndarray, target: np.ndarray) -> float:
    z = x @ w
    return float((np.logaddexp(0, z) - target * z).sum())
