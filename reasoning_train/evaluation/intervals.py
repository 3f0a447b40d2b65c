"""95 % intervals of means over problems, and over seeds if there are several.

Arrays: M metrics, S seeds, P problems. Numpy only. `tests/reasoning_train/evaluation/test_coverage.py` simulates the
coverage.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np

from reasoning_train.evaluation.names import Bounds
from reasoning_train.evaluation.student_t import t_quantile

RESAMPLES = 10_000
CHUNK = 500
"""Number of resamples whose seeds are drawn at a time."""
HELD = 100_000
"""Most counts of problems held at a time, so that memory does not grow with them and they stay in the cache."""
LEVEL = 0.95
_TINY = 1e-9
"""Least share of the greatest variance, so that numbers which are all equal count as many problems and not as
infinitely many."""


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


_NOTHING = Estimate(0.0, 0.0, 0.0)


def interval(values: np.ndarray, bounds: Bounds | None = None, *, resamples: int = RESAMPLES) -> Estimate:
    """Mean and interval of one metric. values [P], or [S, P] for several seeds; see `intervals`."""
    values = np.asarray(values, dtype=float)
    by_seed = values[None, :] if values.ndim == 1 else values
    return intervals(by_seed[None], [bounds], resamples=resamples)[0]


def intervals(values: np.ndarray, bounds: Sequence[Bounds | None], *, resamples: int = RESAMPLES) -> list[Estimate]:
    """Means of M metrics with intervals. values [M, S, P]; `bounds`: one per metric, None if a problem's value is
    unbounded (tokens).

    One seed: the bootstrap over problems. Several seeds: the wider of the bootstrap over seeds and problems and a t
    interval over the seeds' means. The bootstrap alone is too narrow with few seeds that differ much (it covers .85
    with five). The t interval alone ignores that all seeds use the same problems. Near its bounds a metric varies
    little or not at all in the sample, and both are too narrow: a bounded metric gets at least the score interval of
    `score_interval`, so that one error in a hundred is no more certain than none.
    """
    values = np.asarray(values, dtype=float)
    found = crossed_bootstrap(values, resamples=resamples)
    if values.shape[1] > 1:
        found = [wider(*pair) for pair in zip(found, _over_seeds(values), strict=True)]
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
    means = []
    for over_seeds, over_problems in draws(seeds, problems, seed, resamples=resamples):
        by_seed = np.einsum("rp,msp->mrs", over_problems / problems, values, optimize=True)
        means.append(np.einsum("mrs,rs->mr", by_seed, over_seeds / seeds, optimize=True))
    low, high = np.quantile(np.concatenate(means, axis=1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
    centre = values.mean(axis=(1, 2))
    return [Estimate(float(c), float(a), float(b)) for c, a, b in zip(centre, low, high, strict=True)]


def draws(
    seeds: int, problems: int, seed: int = 0, *, resamples: int = RESAMPLES
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """How often every seed [R, S] and every problem [R, P] is drawn, in blocks of R resamples."""
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, CHUNK):
        size = min(CHUNK, resamples - start)
        over_seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=size)
        for some in batches(over_seeds, problems):
            yield some, drawn_counts(rng, problems, len(some))


def drawn_counts(rng: np.random.Generator, problems: int, resamples: int) -> np.ndarray:
    """How often each problem is in each resample [R, P], as floats. Every resample draws P problems with replacement.

    The law is the multinomial's, but drawing the problems and counting them takes a fifth of the time of numpy's
    `multinomial`, which draws a binomial number per problem. The numbers do not depend on how many resamples are drawn
    at a time. At most 2^31 counts.
    """
    drawn = rng.integers(problems, size=(resamples, problems), dtype=np.int32)
    drawn += np.arange(0, resamples * problems, problems, dtype=np.int32)[:, None]
    return np.bincount(drawn.ravel(), minlength=resamples * problems).reshape(resamples, problems).astype(float)


def batches(resamples: np.ndarray, problems: int) -> Iterator[np.ndarray]:
    """Divides an array with an entry per resample, so that the counts of a batch are `HELD` at most."""
    size = max(1, HELD // problems)
    for first in range(0, len(resamples), size):
        yield resamples[first : first + size]


def wider(one: Estimate, other: Estimate) -> Estimate:
    """The estimate whose interval is wider."""
    return max(one, other, key=lambda estimate: estimate.width)


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


def score_interval(values: np.ndarray, bounds: Bounds) -> Estimate:
    """The interval of a bounded metric from score intervals, which stay valid where the sample hardly varies. values
    [P]: one per problem, the mean over seeds.

    The part of the values above 0 and the part below it are shares of the bounds, each with Wilson's interval; their
    difference has Newcombe's (1998, Statistics in Medicine 17, method 10, the paired differences written as shares of
    problems that gain and that lose). It is never narrower than `wilson`, that is, than what unseen problems could
    change.

    >>> score_interval(np.array([1.0] * 99 + [0.0]), (0, 1)).percent()
    '99.0 [94.6, 99.8]'
    """
    value, unseen = float(values.mean()), wilson(float(values.mean()), len(values), bounds)
    if values.min() == values.max():
        return unseen
    least, greatest = min(bounds[0], 0.0), max(bounds[1], 0.0)
    above = _wilson_of_shares((values / greatest).clip(0, 1)) if greatest > 0 else _NOTHING
    below = _wilson_of_shares((values / least).clip(0, 1)) if least < 0 else _NOTHING
    low = value - sqrt((greatest * (above.value - above.low)) ** 2 + (least * (below.high - below.value)) ** 2)
    high = value + sqrt((greatest * (above.high - above.value)) ** 2 + (least * (below.value - below.low)) ** 2)
    return _hull([Estimate(value, low, high), unseen])


def _wilson_of_shares(shares: np.ndarray) -> Estimate:
    """Wilson's interval of the mean of numbers from 0 to 1. Numbers between 0 and 1 vary less than outcomes of 0 and 1
    with the same mean, and count as more problems in that proportion."""
    z, mean = NormalDist().inv_cdf((1 + LEVEL) / 2), float(shares.mean())
    greatest = mean * (1 - mean)
    n = len(shares) * (greatest / max(float(shares.var()), _TINY * greatest) if greatest > 0 else 1.0)
    centre = (mean + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * sqrt(greatest / n + z**2 / (4 * n**2))
    return Estimate(mean, min(mean, centre - half), max(mean, centre + half))


def _hull(estimates: Sequence[Estimate]) -> Estimate:
    """The value of the first with the least interval that contains all of theirs."""
    return Estimate(estimates[0].value, min(one.low for one in estimates), max(one.high for one in estimates))


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
    """The interval of a bounded metric: at least the score interval, and clipped to the bounds, which a t interval may
    exceed. values [S, P]."""
    wider = _hull([estimate, score_interval(values.mean(axis=0), bounds)])
    return Estimate(estimate.value, max(wider.low, bounds[0]), min(wider.high, bounds[1]))


def _over_seeds(values: np.ndarray) -> list[Estimate]:
    """t intervals over the seeds' means. values [M, S, P], S > 1."""
    means = values.mean(axis=2)
    seeds = means.shape[1]
    half = t_quantile(LEVEL, seeds - 1) * means.std(axis=1, ddof=1) / sqrt(seeds)
    return [Estimate(float(c), float(c - h), float(c + h)) for c, h in zip(means.mean(axis=1), half, strict=True)]
