"""Computes verdicts from the values of arms over seeds and problems. Arrays: S seeds, P problems. Numpy only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reasoning_train.evaluation.claims.base import Statement
from reasoning_train.evaluation.figure_intervals import DrawnFigure, weighted
from reasoning_train.evaluation.intervals import RESAMPLES, Estimate, intervals, weighted_bounds
from reasoning_train.evaluation.names import Bounds

SUPPORTED, CONTRADICTED, NOT_RESOLVED, NOT_CLAIMED = "supported", "contradicted", "not resolved", "not claimed"
SIGN_SHARE = 0.8
"""A verdict in either direction also needs its sign in this share of the seeds (4 of 5)."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A statement of a claim on one metric, with its values."""

    name: str
    metric: str
    values: np.ndarray | DrawnFigure
    """Weighted sum of the rows: [S, P], or of their figures."""
    margin: float = 0.0
    lower: bool = False
    """Lower values are better: the sum with its sign reversed must exceed the margin."""
    bounds: Bounds | None = None
    claimed: bool = True
    counted: bool = False
    """The values are exact costs, not samples: their mean supports the claim if the interval is undecided."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A comparison with its numbers and its verdict."""

    name: str
    metric: str
    claim: str
    """The claim as the table shows it, such as `> 2`; empty if nothing is claimed."""
    verdict: str
    estimate: Estimate
    per_seed: tuple[Estimate, ...]
    share: bool
    """The metric lies between 0 and 1 and is shown as a percentage."""

    def to_json(self) -> dict[str, Any]:
        """Plain data; estimates are [value, low, high]."""
        return {
            "name": self.name,
            "metric": self.metric,
            "claim": self.claim,
            "verdict": self.verdict,
            "estimate": self.estimate.numbers,
            "per_seed": [one.numbers for one in self.per_seed],
        }

    def cells(self) -> list[str]:
        """The finding as a table row with the columns `COLUMNS`."""
        shown = Estimate.percent if self.share else Estimate.plain
        each = "; ".join(shown(one, signed=True) for one in self.per_seed)
        return [self.name, self.metric, self.claim, shown(self.estimate, signed=True), each, self.verdict]


COLUMNS = ["comparison", "metric", "claimed", "all seeds", "each seed", "verdict"]


def findings(comparisons: Sequence[Comparison], seeds_needed: int, resamples: int = RESAMPLES) -> list[Finding]:
    """Every comparison with its interval over all seeds, its interval for each seed, and its verdict.

    All comparisons have the same seeds and problems, and share the resamples.
    """
    arrays = [(each.values, each.bounds) for each in comparisons if isinstance(each.values, np.ndarray)]
    means = iter(_of_means(np.stack([v for v, _ in arrays]), [b for _, b in arrays], resamples) if arrays else ())
    found = []
    for each in comparisons:
        if isinstance(each.values, DrawnFigure):
            pooled, by_seed = each.values.pooled(each.bounds), tuple(each.values.by_seed(each.bounds))
        else:
            pooled, by_seed = next(means)
        found.append(_found(each, pooled, by_seed, seeds_needed))
    return found


def _of_means(
    values: np.ndarray, bounds: Sequence[Bounds | None], resamples: int
) -> Iterator[tuple[Estimate, tuple[Estimate, ...]]]:
    """The estimate over all seeds, and those of each, of means. values [M, S, P]."""
    count, seeds, problems = values.shape
    pooled = intervals(values, bounds, resamples=resamples)
    alone = values.reshape(count * seeds, 1, problems)
    single = intervals(alone, [limit for limit in bounds for _ in range(seeds)], resamples=resamples)
    for i, estimate in enumerate(pooled):
        yield estimate, tuple(single[i * seeds : (i + 1) * seeds])


def verdict(gain: Estimate, means: Sequence[float], margin: float, seeds_needed: int) -> str:
    """`supported` if the interval is above the margin, `contradicted` if it is below. Both also need four fifths of the
    seeds' `means` on that side. With fewer than `seeds_needed` seeds there is no verdict.

    >>> verdict(Estimate(0.03, 0.01, 0.05), [0.02, 0.04, 0.03, 0.05, 0.01], 0.0, seeds_needed=5)
    'supported'
    >>> verdict(Estimate(-0.03, -0.05, -0.01), [-0.09, -0.09, 0.01, 0.01, 0.01], 0.0, seeds_needed=5)
    'not resolved'
    """
    if len(means) < seeds_needed:
        return no_verdict(len(means), seeds_needed)
    if gain.low > margin and _share(mean > margin for mean in means) >= SIGN_SHARE:
        return SUPPORTED
    if gain.high < margin and _share(mean < margin for mean in means) >= SIGN_SHARE:
        return CONTRADICTED
    return NOT_RESOLVED


def no_verdict(seeds: int, needed: int) -> str:
    """The text shown instead of a verdict: `1 of 5 seeds, no verdict`."""
    return f"{seeds} of {needed} seeds, no verdict"


def joint(verdicts: Sequence[str]) -> str:
    """The verdict on a claim whose comparisons must all hold: contradicted if one is, supported if all are.

    `supported` needs no correction for the number of comparisons (an intersection-union test). Each further comparison
    does raise the chance of a false `contradicted`.
    """
    if CONTRADICTED in verdicts:
        return CONTRADICTED
    return verdicts[0] if len(set(verdicts)) == 1 else NOT_RESOLVED


def compare(
    statement: Statement, metric: str, arms: Mapping[str, np.ndarray], *, lower: bool, bounds: Bounds | None
) -> Comparison:
    """The comparison of a statement on one metric. arms: row -> [S, P]. `bounds`: the metric's, None for counts."""
    limits, values = weighted_bounds(bounds, statement.weights.values()), _weighted(statement.weights, arms)
    return Comparison(statement.name, metric, values, statement.margin, lower, limits, statement.claimed)


def compare_figures(
    statement: Statement, metric: str, rows: Mapping[str, DrawnFigure], *, lower: bool, bounds: Bounds | None
) -> Comparison:
    """The comparison of a statement on a figure of whole rows."""
    limits, values = weighted_bounds(bounds, statement.weights.values()), weighted(rows, statement.weights)
    return Comparison(statement.name, metric, values, statement.margin, lower, limits, statement.claimed)


def no_more(statement: Statement, cost: str, arms: Mapping[str, np.ndarray], tolerance: float) -> Comparison:
    """The comparison that rows of positive weight cost no more than those of negative weight. `tolerance`: allowed
    excess as a share of the latter."""
    weights = {row: weight if weight > 0 else weight * (1 + tolerance) for row, weight in statement.weights.items()}
    return Comparison(f"cost of {statement.name}", cost, _weighted(weights, arms), lower=True, counted=True)


def _found(each: Comparison, estimate: Estimate, own: tuple[Estimate, ...], seeds_needed: int) -> Finding:
    gain = estimate.turned if each.lower else estimate
    means = [(one.turned if each.lower else one).value for one in own]
    found = verdict(gain, means, each.margin, seeds_needed) if each.claimed else NOT_CLAIMED
    if each.counted and found == NOT_RESOLVED and gain.value >= each.margin:
        found = SUPPORTED
    return Finding(each.name, each.metric, _claim(each), found, estimate, own, each.bounds is not None)


def _claim(each: Comparison) -> str:
    if not each.claimed:
        return ""
    bar = 0.0 - each.margin if each.lower else each.margin
    unit = f"{100 * bar:g}" if each.bounds else f"{bar:g}"
    return f"{'<' if each.lower else '>'}{'=' if each.counted else ''} {unit}"


def _weighted(weights: Mapping[str, float], arms: Mapping[str, np.ndarray]) -> np.ndarray:
    total: np.ndarray = sum((weight * arms[row] for row, weight in weights.items()), np.zeros(()))
    return total.round(12)  # values that cancel are 0, so no verdict depends on float rounding


def _share(holds: Any) -> float:
    found = list(holds)
    return sum(found) / len(found)
