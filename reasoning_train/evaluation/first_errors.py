"""First-error figures: how well a scorer finds the first wrong step, as ProcessBench measures it (arXiv 2412.06559).

A scorer predicts the first step whose score is below a threshold, or no error if there is none. `on wrong`: share of
the solutions with an error whose first wrong step is predicted. `on right`: share of those without one for which no
error is predicted. F1 is their harmonic mean.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from reasoning_train.evaluation.intervals import CHUNK, LEVEL, RESAMPLES, Estimate, score_interval, wilson
from reasoning_train.evaluation.names import SHARE

Scores = Sequence[float]
"""A value per step of a solution."""


@dataclass(frozen=True, slots=True)
class Hit:
    """Whether a solution's error was found, or that it has none: `Hit("chain/test/7", wrong=True, found=False)`."""

    problem: str
    wrong: bool
    """The solution has a wrong step."""
    found: bool
    """The prediction is exactly right."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Shares over solutions with 95 % intervals. None where there is no such solution; no F1 without both kinds."""

    on_wrong: Estimate | None
    on_right: Estimate | None
    f1: Estimate | None
    wrong: int
    """Solutions with an error."""
    right: int
    """Solutions without one."""


def predicted(scores: Scores, threshold: float) -> int:
    """Index of the first step below the threshold; the number of steps if there is none.

    >>> predicted([0.9, 0.2, 0.1], 0.5), predicted([0.9, 0.5], 0.5)
    (1, 2)
    """
    return next((i for i, score in enumerate(scores) if score < threshold), len(scores))


def harmonic(a: float, b: float) -> float:
    """2ab / (a + b), 0 for two zeros.

    >>> harmonic(0.25, 0.75), harmonic(0.0, 0.0)
    (0.375, 0.0)
    """
    return 2 * a * b / (a + b) if a + b else 0.0


def best_threshold(solutions: Iterable[tuple[Scores, int]]) -> float:
    """The threshold with the greatest F1. `solutions`: (scores, index of the first wrong step or the number of steps).

    A prediction changes only where the threshold passes a score, so one threshold between any two neighbouring scores,
    one below all and one above all are tried: that is all there are. Of a range of equally good ones it is the middle.
    Both kinds of solutions are needed.
    """
    given = list(solutions)
    edges = sorted({score for scores, _ in given for score in scores})
    tried = [edges[0], *(_between(a, b) for a, b in itertools.pairwise(edges)), math.nextafter(edges[-1], math.inf)]
    gains = {True: np.zeros(len(tried) + 1), False: np.zeros(len(tried) + 1)}
    totals = {True: 0, False: 0}
    at = np.array(tried)
    for scores, first in given:
        wrong = first < len(scores)
        totals[wrong] += 1
        # It is found by the thresholds above the score of the wrong step (if any) and not above a score before it.
        low = int(np.searchsorted(at, scores[first], side="right")) if wrong else 0
        high = int(np.searchsorted(at, min(scores[:first], default=math.inf), side="right"))
        if low < high:
            gains[wrong][low] += 1
            gains[wrong][high] -= 1
    found = {kind: np.cumsum(gain)[: len(tried)] / totals[kind] for kind, gain in gains.items()}
    values = [harmonic(float(a), float(b)) for a, b in zip(found[True], found[False], strict=True)]
    first = values.index(max(values))
    last = next((i for i in range(first, len(values)) if values[i] < values[first]), len(values)) - 1
    if first in (0, len(edges)):  # nothing is below it, or everything
        return tried[first]
    return _between(edges[first - 1], edges[min(last, len(edges) - 1)])


def _between(a: float, b: float) -> float:
    """A threshold that parts two scores: above `a`, at most `b`."""
    middle = a + (b - a) / 2
    return middle if a < middle else b


def figures_of(hits: Sequence[Hit]) -> Figures:
    """Shares and intervals. Solutions of one problem are resampled together."""
    problems = list(dict.fromkeys(hit.problem for hit in hits))
    place = {problem: i for i, problem in enumerate(problems)}
    counts = np.zeros((4, len(problems)))  # wrong, found of them, right, found of them
    for hit in hits:
        counts[0 if hit.wrong else 2, place[hit.problem]] += 1
        counts[1 if hit.wrong else 3, place[hit.problem]] += hit.found
    drawn = _resampled(counts)
    wrong, right = _shares(drawn[:, :2]), _shares(drawn[:, 2:])
    on_wrong, on_right = _share(counts[:2], wrong), _share(counts[2:], right)
    f1 = None
    if on_wrong and on_right:
        both = wrong + right
        values = np.divide(2 * wrong * right, both, out=np.zeros_like(both), where=both > 0)
        value = harmonic(on_wrong.value, on_right.value)
        # Problems that were not seen may differ, even where those that were seen are all alike.
        unseen = wilson(value, int(min((counts[0] > 0).sum(), (counts[2] > 0).sum())), SHARE)
        f1 = _hull(value, values[~np.isnan(both)], unseen)
    return Figures(on_wrong, on_right, f1, int(counts[0].sum()), int(counts[2].sum()))


def _resampled(counts: np.ndarray) -> np.ndarray:
    """Sums over problems drawn with replacement. counts [4, P] -> [R, 4]."""
    rng, problems, found = np.random.default_rng(0), counts.shape[1], []
    for start in range(0, RESAMPLES, CHUNK):
        size = min(CHUNK, RESAMPLES - start)
        found.append(rng.multinomial(problems, np.full(problems, 1 / problems), size=size) @ counts.T)
    return np.concatenate(found)


def _shares(drawn: np.ndarray) -> np.ndarray:
    """Found of all, per resample; NaN for one without any. drawn [R, 2] -> [R]."""
    return np.divide(drawn[:, 1], drawn[:, 0], out=np.full(len(drawn), np.nan), where=drawn[:, 0] > 0)


def _share(counts: np.ndarray, drawn: np.ndarray) -> Estimate | None:
    """The share with its interval, never narrower than the score interval over problems. counts [2, P]."""
    having = counts[0] > 0
    if not having.any():
        return None
    value = float(counts[1].sum() / counts[0].sum())
    unseen = score_interval(counts[1, having] / counts[0, having], SHARE)
    shift = value - unseen.value  # problems with several solutions weigh more in the share than in the mean
    return _hull(value, drawn[~np.isnan(drawn)], Estimate(value, unseen.low + shift, unseen.high + shift))


def _hull(value: float, drawn: np.ndarray, unseen: Estimate) -> Estimate:
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, max(0.0, min(float(low), unseen.low)), min(1.0, max(float(high), unseen.high)))
