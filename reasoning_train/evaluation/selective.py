"""Strategies that may abstain: the risk among the answered, and the area under the risk-coverage curve.

Both are figures of a whole row that no single problem has, so their intervals resample problems. Numpy only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from reasoning_train.evaluation.intervals import LEVEL, Estimate, batches, drawn_counts, score_interval
from reasoning_train.evaluation.names import SHARE

RESAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class RowAnswers:
    """What one row answers, an entry a problem: [P]. NaN where it has none."""

    coverage: np.ndarray
    """Chance that it answers. NaN everywhere if it never abstains."""
    accuracy: np.ndarray
    confidence: np.ndarray
    """How sure the row is of the shown answer, NaN without one."""
    right: np.ndarray
    """Whether the shown answer is right."""


def selective_figures(rows: Mapping[str, RowAnswers]) -> dict[str, dict[str, list[float]]]:
    """`risk` and `aurc` of every row, as [value, low, high]. All rows have the same problems and share the resamples.

    `risk`: share of wrong answers among the answered problems, for strategies that may abstain. `aurc`: the mean, over
    k, of the share of wrong answers among the k of which the rule is surest, of the shown answers that have a
    confidence. A figure of nothing is left out.
    """
    size = max((len(row.accuracy) for row in rows.values()), default=0)
    made = [(name, figure, make(row)) for name, row in rows.items() for figure, make in _FIGURES.items()]
    figures = {(name, figure): one for name, figure, one in made if one is not None}
    resampled: dict[tuple[str, str], list[np.ndarray]] = {key: [] for key in figures}
    for counts in _resamples(size) if figures else ():
        for key, one in figures.items():
            resampled[key].append(one.of(counts))
    found: dict[str, dict[str, list[float]]] = {name: {} for name in rows}
    for (name, figure), one in figures.items():
        found[name][figure] = _estimate(one, np.concatenate(resampled[name, figure])).numbers
    return found


def areas(confidence: np.ndarray, wrong: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Areas under risk-coverage curves, one a row of `counts` [R, P]: how often each problem is in the sample. NaN for
    a sample of none.

    The mean over the k = 1..n answers of the risk among the k surest. Answers of equal confidence have the mean risk
    over their orders.

    >>> float(areas(np.array([0.9, 0.5]), np.array([0.0, 1.0]), np.ones((1, 2)))[0])
    0.25
    """
    order = np.argsort(-confidence, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(confidence[order]) != 0])
    sizes = np.add.reduceat(counts[:, order], starts, axis=1)
    errors = np.add.reduceat(counts[:, order] * wrong[order], starts, axis=1)
    rates = np.divide(errors, sizes, out=np.zeros_like(errors), where=sizes > 0)
    before, failed = np.cumsum(sizes, axis=1) - sizes, np.cumsum(errors, axis=1) - errors
    total = sizes.sum(axis=1)
    # The risk at b + j of a group is (failed + j * rate) / (b + j): summed over the group with harmonic numbers.
    harmonic = np.r_[0.0, np.cumsum(1.0 / np.arange(1, int(total.max(initial=0)) + 1))]
    steps = harmonic[(before + sizes).astype(int)] - harmonic[before.astype(int)]
    area = ((failed - before * rates) * steps + sizes * rates).sum(axis=1)
    found: np.ndarray = np.divide(area, total, out=np.full_like(area, np.nan), where=total > 0)
    return found


@dataclass(frozen=True, slots=True)
class _Figure:
    """A figure of all problems of a row, and of resamples of them."""

    value: float
    values: np.ndarray
    """One per problem that counts, for the score interval."""
    of: Callable[[np.ndarray], np.ndarray]
    """Counts of the problems [R, P] -> the figure of each resample [R], NaN for one without an answer."""


def _risk(row: RowAnswers) -> _Figure | None:
    some = row.coverage > 0
    if not some.any():
        return None
    covered, wrong = row.coverage[some], np.maximum(row.coverage - row.accuracy, 0.0)[some]

    def of(counts: np.ndarray) -> np.ndarray:
        above, below = counts[:, some] @ wrong, counts[:, some] @ covered
        found: np.ndarray = np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
        return found

    return _Figure(float(wrong.sum() / covered.sum()), wrong / covered, of)


def _curve(row: RowAnswers) -> _Figure | None:
    some = ~np.isnan(row.confidence)
    if not some.any():
        return None
    confidence, wrong = row.confidence[some], 1.0 - row.right[some]
    whole = float(areas(confidence, wrong, np.ones((1, len(wrong))))[0])
    return _Figure(whole, np.full(len(wrong), whole), lambda counts: areas(confidence, wrong, counts[:, some]))


_FIGURES = {"risk": _risk, "aurc": _curve}


def _resamples(problems: int) -> Iterator[np.ndarray]:
    """How often each problem is drawn: batches [R, P] of a size that does not grow with the problems."""
    rng = np.random.default_rng(0)
    for batch in batches(np.empty(RESAMPLES), problems):
        yield drawn_counts(rng, problems, len(batch))


def _estimate(figure: _Figure, resampled: np.ndarray) -> Estimate:
    """The bootstrap interval, but no narrower than the score interval of the answered problems: it holds where they
    hardly vary."""
    low, high = np.nanquantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    least = score_interval(figure.values, SHARE)
    spread = least.low - least.value, least.high - least.value
    value = figure.value
    return Estimate(value, max(min(low, value + spread[0]), 0.0), min(max(high, value + spread[1]), 1.0))
