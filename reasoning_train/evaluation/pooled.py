"""Means over seeds of estimates that each seed's manifest holds, without the rows behind them."""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot, sqrt
from statistics import fmean, stdev

from reasoning_train.evaluation.intervals import LEVEL, Estimate
from reasoning_train.evaluation.names import Bounds
from reasoning_train.evaluation.student_t import t_quantile


def over_seeds(estimates: Sequence[Estimate], bounds: Bounds | None = None) -> Estimate:
    """The mean of one metric over seeds, with an interval over seeds and problems. One seed: its own estimate.

    Half of its width is the root of the summed squares of two: the t interval over the seeds' means, and the mean of
    the seeds' own intervals over problems. Seeds share their problems, so the latter does not shrink with more seeds.
    Chance within a seed counts in both, so the interval is rather too wide than too narrow.

    >>> over_seeds([Estimate(0.5, 0.4, 0.6), Estimate(0.5, 0.4, 0.6)]).plain()
    '0.5 [0.4, 0.6]'
    """
    if len(estimates) == 1:
        return estimates[0]
    values = [one.value for one in estimates]
    value, spread = fmean(values), t_quantile(LEVEL, len(values) - 1) * stdev(values) / sqrt(len(values))
    low = value - hypot(fmean(one.value - one.low for one in estimates), spread)
    high = value + hypot(fmean(one.high - one.value for one in estimates), spread)
    return Estimate(value, max(low, bounds[0]), min(high, bounds[1])) if bounds else Estimate(value, low, high)
