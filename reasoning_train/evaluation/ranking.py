"""How well scores tell right solutions from wrong ones: AUC (pooled and within problems), Brier score, calibration error, best of N."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def auc(scores: Sequence[float], right: Sequence[bool]) -> float | None:
    """Share of (right, wrong) pairs in which the right one scores higher, ties half; None where one kind is missing.

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


def brier(p: Sequence[float], right: Sequence[bool]) -> float:
    """Mean squared difference of probability and outcome."""
    return float(np.mean((np.asarray(p, dtype=float) - np.asarray(right, dtype=float)) ** 2))


def calibration_error(p: Sequence[float], right: Sequence[bool], bins: int = 10) -> float:
    """Expected calibration error over `bins` bins of equal width: mean |share right - mean probability|, weighted by members.

    >>> round(calibration_error([0.95, 0.95, 0.05, 0.05], [True, False, False, False]), 4)
    0.25
    """
    q, r = np.asarray(p, dtype=float), np.asarray(right, dtype=float)
    member = np.minimum((q * bins).astype(int), bins - 1)
    gaps = [abs(r[member == b].sum() - q[member == b].sum()) for b in range(bins)]
    return float(sum(gaps) / max(1, len(q)))


def platt(scores: Sequence[float], right: Sequence[bool], steps: int = 100) -> tuple[float, float]:
    """(gain, offset) that make sigmoid(gain * score + offset) likeliest, with Platt's smoothed targets, by Newton's method.

    ValueError where all outcomes are alike.
    """
    s, r = np.asarray(scores, dtype=float), np.asarray(right, dtype=bool)
    n, k = int(r.sum()), int((~r).sum())
    if not n or not k:
        raise ValueError(f"{n} right and {k} wrong solutions: a calibration needs both")
    target = np.where(r, (n + 1) / (n + 2), 1 / (k + 2))
    x = np.stack([s, np.ones_like(s)], 1)
    w = np.array([0.0, np.log(n / k)])
    for _ in range(steps):
        p = 1 / (1 + np.exp(-np.clip(x @ w, -30, 30)))
        gradient = x.T @ (p - target)
        step = np.linalg.solve(x.T @ (x * (p * (1 - p))[:, None]) + 1e-9 * np.eye(2), gradient)
        size = 1.0
        while size > 1e-6 and _likelihood(x, w - size * step, target) > _likelihood(x, w, target):
            size /= 2
        w = w - size * step
        if np.abs(gradient).max() < 1e-8 * len(s):
            break
    return float(w[0]), float(w[1])


def _likelihood(x: np.ndarray, w: np.ndarray, target: np.ndarray) -> float:
    z = x @ w
    return float((np.logaddexp(0, z) - target * z).sum())


def best_of_n(scores: Sequence[float], right: Sequence[bool]) -> float:
    """Whether the highest score is right; ties share.

    >>> best_of_n([0.5, 0.9, 0.9], [True, True, False])
    0.5
    """
    s, r = np.asarray(scores, dtype=float), np.asarray(right, dtype=float)
    return float(r[s == s.max()].mean())
