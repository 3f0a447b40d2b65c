"""95 % intervals of figures of whole rows, and of their differences between rows. Numpy only.

Seeds and problems are resampled as for means (`intervals.py`), with the same draws, and the figure is computed anew in
every resample: under each seed from that seed's columns, for all rows on the same problems. What several seeds say
together is the mean of their figures. Arrays: C columns, S seeds, P problems, R resamples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

import numpy as np

from reasoning_train.evaluation.intervals import LEVEL, RESAMPLES, Estimate, draws, wider, wilson
from reasoning_train.evaluation.names import Bounds
from reasoning_train.evaluation.row_figures import RowFigure
from reasoning_train.evaluation.student_t import t_quantile


@dataclass(frozen=True, slots=True)
class DrawnFigure:
    """A figure of a row, or a weighted sum of such figures, in every resample: those of two seeds and three resamples
    are `DrawnFigure(np.array([0.5, 0.6]), drawn, over_seeds, 40)` with `drawn` [3, 2].
    """

    values: np.ndarray
    """Under every seed: [S]. NaN where it is not defined."""
    drawn: np.ndarray
    """In every resample of problems, under every seed: [R, S]. NaN where it is not defined."""
    over_seeds: np.ndarray
    """How often each seed is drawn: [R, S]."""
    counted: int
    """Fewest problems that the figure depends on, under any seed."""

    def pooled(self, bounds: Bounds | None) -> Estimate:
        """The mean over seeds. With several seeds, the wider of the bootstrap over seeds and problems and a t interval
        over the seeds' figures."""
        wanted = self.over_seeds > 0
        defined = ~(np.isnan(self.drawn) & wanted).any(axis=1)
        sums = np.where(wanted, self.drawn, 0.0) * self.over_seeds
        found = _percentiles(float(self.values.mean()), sums.sum(axis=1)[defined] / len(self.values))
        if (seeds := len(self.values)) > 1:
            half = t_quantile(LEVEL, seeds - 1) * float(self.values.std(ddof=1)) / sqrt(seeds)
            found = wider(found, Estimate(found.value, found.value - half, found.value + half))
        return self._limited(found, bounds)

    def by_seed(self, bounds: Bounds | None) -> list[Estimate]:
        """Every seed alone, with the bootstrap over problems."""
        pairs = zip(self.values, self.drawn.T, strict=True)
        return [self._limited(_percentiles(float(value), own[~np.isnan(own)]), bounds) for value, own in pairs]

    def _limited(self, found: Estimate, bounds: Bounds | None) -> Estimate:
        """The interval of a bounded figure: no narrower than what unseen problems could change, and in the bounds."""
        if bounds is None:
            return found
        unseen = wilson(found.value, self.counted, bounds)
        low, high = min(found.low, unseen.low), max(found.high, unseen.high)
        return Estimate(found.value, max(low, bounds[0]), min(high, bounds[1]))


def resampled(
    figure: RowFigure, rows: Mapping[str, np.ndarray], *, resamples: int = RESAMPLES
) -> dict[str, DrawnFigure]:
    """The figure of every row in the same resamples. rows: row -> [C, S, P]."""
    _, seeds, problems = next(iter(rows.values())).shape
    found: dict[str, list[np.ndarray]] = {row: [] for row in rows}
    drawn_seeds = []
    for over_seeds, over_problems in draws(seeds, problems, resamples=resamples):
        drawn_seeds.append(over_seeds)
        counts = over_problems.astype(float)
        for row, values in rows.items():
            found[row].append(np.stack([figure.of(values[:, s], counts) for s in range(seeds)], axis=1))
    together = np.concatenate(drawn_seeds)
    return {
        row: DrawnFigure(
            np.array([figure.value(values[:, s]) for s in range(seeds)]),
            np.concatenate(found[row]),
            together,
            min(figure.counted(values[:, s]) for s in range(seeds)),
        )
        for row, values in rows.items()
    }


def weighted(rows: Mapping[str, DrawnFigure], weights: Mapping[str, float]) -> DrawnFigure:
    """The weighted sum of the rows' figures. Figures that cancel are 0, so no verdict depends on float rounding."""
    own = [(weight, rows[row]) for row, weight in weights.items()]
    return DrawnFigure(
        np.sum([weight * one.values for weight, one in own], axis=0).round(12),
        np.sum([weight * one.drawn for weight, one in own], axis=0).round(12),
        own[0][1].over_seeds,
        min(one.counted for _, one in own),
    )


def _percentiles(value: float, drawn: np.ndarray) -> Estimate:
    """The percentile interval; a point without any resample in which the figure is defined."""
    if not len(drawn):
        return Estimate(value, value, value)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, float(low), float(high))
