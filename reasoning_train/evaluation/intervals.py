"""The one place that puts a 95 % interval around a mean: over problems, and over seeds where there are several.

Arrays: M metrics, S seeds, P problems. Numpy only. What the intervals cover is simulated in
`tests/reasoning_train/evaluation/test_coverage.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np

from reasoning_train.evaluation.names import Bounds
from reasoning_train.evaluation.student_t import t_quantile

RESAMPLES = 10_000
CHUNK = 500
"""Resamples held at a time."""
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its 95 % interval: `Estimate(0.512, 0.481, 0.543)`."""

    value: float
    low: float
    high: float

    @property
    def width(self) -> float:
        """From one end to the other."""
        return self.high - self.low

    @property
    def turned(self) -> Estimate:
        """Of the same with its sign turned."""
        return Estimate(-self.value, -self.high, -self.low)

    def percent(self, signed: bool = False) -> str:
        """`51.2 [48.1, 54.3]`; `+8.8 [6.2, 11.2]` when signed."""
        return self._shown(100, signed)

    def plain(self, signed: bool = False) -> str:
        """The same of a number that is no share, such as tokens: `81.2 [78.0, 84.4]`."""
        return self._shown(1, signed)

    def _shown(self, scale: float, signed: bool) -> str:
        sign = "+" if signed else ""
        return f"{scale * self.value:{sign}.1f} [{scale * self.low:{sign}.1f}, {scale * self.high:{sign}.1f}]"


def interval(values: np.ndarray, bounds: Bounds | None = None, *, resamples: int = RESAMPLES) -> Estimate:
    """Mean and interval of one metric. values [P], or [S, P] for several seeds; see `intervals`."""
    values = np.asarray(values, dtype=float)
    by_seed = values[None, :] if values.ndim == 1 else values
    return intervals(by_seed[None], [bounds], resamples=resamples)[0]


def intervals(
    values: np.ndarray, bounds: Sequence[Bounds | None], *, seed: int = 0, resamples: int = RESAMPLES
) -> list[Estimate]:
    """Means of M metrics, each with its interval. values [M, S, P]; `bounds`: one for each metric, None where what a
    problem has is not limited (tokens).

    One seed: the bootstrap over problems. Several: the wider of the bootstrap over seeds and problems and a t interval
    over the seeds' means. The bootstrap alone is too narrow with few seeds that differ much (it covers .85 with five),
    and the t interval alone leaves out that all seeds saw the same problems. Where all values are equal, neither sees
    any spread, and a metric that has bounds gets Wilson's interval.
    """
    values = np.asarray(values, dtype=float)
    found = crossed_bootstrap(values, seed, resamples)
    if values.shape[1] > 1:
        found = [max(pair, key=lambda e: e.width) for pair in zip(found, _over_seeds(values), strict=True)]
    return [
        _limited(estimate, metric, limits) if limits else estimate
        for metric, limits, estimate in zip(values, bounds, found, strict=True)
    ]


def crossed_bootstrap(values: np.ndarray, seed: int = 0, resamples: int = RESAMPLES) -> list[Estimate]:
    """Means with percentile intervals over seeds and problems, both resampled, independently (the pigeonhole bootstrap
    of Owen 2007, Annals of Applied Statistics 1(2)).

    values [M, S, P]: M metrics that share the resamples, so that all of them cost about as much as one. With one seed
    this is the plain bootstrap over problems.
    """
    _, seeds, problems = values.shape
    rng, means = np.random.default_rng(seed), []
    for start in range(0, resamples, CHUNK):
        size = min(CHUNK, resamples - start)
        over_seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=size) / seeds
        over_problems = rng.multinomial(problems, np.full(problems, 1 / problems), size=size) / problems
        by_seed = np.einsum("rp,msp->mrs", over_problems, values, optimize=True)
        means.append(np.einsum("mrs,rs->mr", by_seed, over_seeds, optimize=True))
    low, high = np.quantile(np.concatenate(means, axis=1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
    centre = values.mean(axis=(1, 2))
    return [Estimate(float(c), float(a), float(b)) for c, a, b in zip(centre, low, high, strict=True)]


def wilson(value: float, problems: int, bounds: Bounds) -> Estimate:
    """The interval of a metric that is `value` on every one of `problems` problems: Wilson's (1927) of a share of 0.

    He bounds the share of problems that would differ, z^2 / (P + z^2); such problems could lie at either bound. For an
    accuracy of 0 or 100 % this is Wilson's interval itself. Problems count once however many seeds saw them: more seeds
    say nothing of other problems.

    >>> wilson(1.0, 100, (0, 1)).percent()
    '100.0 [96.3, 100.0]'
    """
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    share, (least, greatest) = z**2 / (problems + z**2), bounds
    return Estimate(value, value - share * (value - least), value + share * (greatest - value))


def weighted_bounds(bounds: Bounds | None, weights: Iterable[float]) -> Bounds | None:
    """Bounds of a weighted sum of values that have these bounds each.

    >>> weighted_bounds((0.0, 1.0), [1.0, -1.0])
    (-1.0, 1.0)
    """
    if bounds is None:
        return None
    ends = [sorted((weight * bounds[0], weight * bounds[1])) for weight in weights]
    return sum(least for least, _ in ends), sum(greatest for _, greatest in ends)


def _limited(estimate: Estimate, values: np.ndarray, bounds: Bounds) -> Estimate:
    """The interval of a metric that has bounds. values [S, P]. A t interval may reach beyond them, and is cut there."""
    if values.min() == values.max():
        return wilson(float(values.flat[0]), values.shape[1], bounds)
    return Estimate(estimate.value, max(estimate.low, bounds[0]), min(estimate.high, bounds[1]))


def _over_seeds(values: np.ndarray) -> list[Estimate]:
    """t intervals over the seeds' means. values [M, S, P], S > 1."""
    means = values.mean(axis=2)
    seeds = means.shape[1]
    half = t_quantile(LEVEL, seeds - 1) * means.std(axis=1, ddof=1) / sqrt(seeds)
    return [Estimate(float(c), float(c - h), float(c + h)) for c, h in zip(means.mean(axis=1), half, strict=True)]
