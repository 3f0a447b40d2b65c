"""95 % intervals of means over problems, and over seeds if there are several.

Arrays: M metrics, S seeds, P problems. Numpy only. `tests/reasoning_train/evaluation/test_coverage.py` simulates the
coverage.
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
"""Number of resamples held at a time."""
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its 95 % interval: `Estimate(0.512, 0.481, 0.543)`."""

    value: float
    low: float
    high: float

    @property
    def width(self) -> float:
        """Width of the interval."""
        return self.high - self.low

    @property
    def numbers(self) -> list[float]:
        """[value, low, high], as manifests store it."""
        return [self.value, self.low, self.high]

    @property
    def turned(self) -> Estimate:
        """The estimate with its sign reversed."""
        return Estimate(-self.value, -self.high, -self.low)

    def percent(self, signed: bool = False) -> str:
        """`51.2 [48.1, 54.3]`; `+8.8 [6.2, 11.2]` when signed."""
        return self._shown(100, signed)

    def plain(self, signed: bool = False) -> str:
        """The same for a number that is not a share, such as tokens: `81.2 [78.0, 84.4]`."""
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
    """Means of M metrics with intervals. values [M, S, P]; `bounds`: one per metric, None if a problem's value is
    unbounded (tokens).

    One seed: the bootstrap over problems. Several seeds: the wider of the bootstrap over seeds and problems and a t
    interval over the seeds' means. The bootstrap alone is too narrow with few seeds that differ much (it covers .85
    with five). The t interval alone ignores that all seeds use the same problems. If all values are equal, both have
    width 0, and a bounded metric gets Wilson's interval.
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
    """Means with percentile intervals. Seeds and problems are resampled independently (the pigeonhole bootstrap of Owen
    2007, Annals of Applied Statistics 1(2)).

    values [M, S, P]: M metrics that share the resamples, so that all cost about as much as one. With one seed this is
    the plain bootstrap over problems.
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
    """The interval of a metric that is `value` on each of `problems` problems, from Wilson's (1927) interval of a share
    of 0.

    At most a share z^2 / (P + z^2) of all problems would differ, and these could be at either bound. For an accuracy of
    0 or 100 % this is Wilson's interval itself. A problem counts once for any number of seeds, because more seeds give
    no information about other problems.

    >>> wilson(1.0, 100, (0, 1)).percent()
    '100.0 [96.3, 100.0]'
    """
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    share, (least, greatest) = z**2 / (problems + z**2), bounds
    return Estimate(value, value - share * (value - least), value + share * (greatest - value))


def weighted_bounds(bounds: Bounds | None, weights: Iterable[float]) -> Bounds | None:
    """Bounds of a weighted sum of values that all have the same bounds.

    >>> weighted_bounds((0.0, 1.0), [1.0, -1.0])
    (-1.0, 1.0)
    """
    if bounds is None:
        return None
    ends = [sorted((weight * bounds[0], weight * bounds[1])) for weight in weights]
    return sum(least for least, _ in ends), sum(greatest for _, greatest in ends)


def _limited(estimate: Estimate, values: np.ndarray, bounds: Bounds) -> Estimate:
    """The interval of a bounded metric, clipped to its bounds, because a t interval may exceed them. values [S, P]."""
    if values.min() == values.max():
        return wilson(float(values.flat[0]), values.shape[1], bounds)
    return Estimate(estimate.value, max(estimate.low, bounds[0]), min(estimate.high, bounds[1]))


def _over_seeds(values: np.ndarray) -> list[Estimate]:
    """t intervals over the seeds' means. values [M, S, P], S > 1."""
    means = values.mean(axis=2)
    seeds = means.shape[1]
    half = t_quantile(LEVEL, seeds - 1) * means.std(axis=1, ddof=1) / sqrt(seeds)
    return [Estimate(float(c), float(c - h), float(c + h)) for c, h in zip(means.mean(axis=1), half, strict=True)]
