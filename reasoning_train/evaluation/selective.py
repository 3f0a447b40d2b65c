"""Strategies that may abstain: the risk among the answered, and the area under the risk-coverage curve.

Both are figures of a whole row that no single problem has, so their intervals resample problems. Numpy only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from data_gen.measures.base import AURC, RISK
from reasoning_train.evaluation.figure_intervals import DrawnFigure, resampled
from reasoning_train.evaluation.intervals import LEVEL, Estimate, score_interval
from reasoning_train.evaluation.names import SHARE
from reasoning_train.evaluation.row_figures import AreaUnderCurve, Risk

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
    found: dict[str, dict[str, list[float]]] = {name: {} for name in rows}
    risks = {name: _answered(row) for name, row in rows.items() if (row.coverage > 0).any()}
    curves = {
        name: np.stack([row.confidence, row.right]) for name, row in rows.items() if not np.isnan(row.confidence).all()
    }
    for name, one in _resampled(Risk(), risks).items():
        accuracy, coverage = risks[name][:, risks[name][1] > 0]
        found[name][RISK] = _estimate(one, np.maximum(coverage - accuracy, 0.0) / coverage).numbers
    for name, one in _resampled(AreaUnderCurve(), curves).items():
        found[name][AURC] = _estimate(one, np.full(one.counted, one.values[0])).numbers
    return found


def _answered(row: RowAnswers) -> np.ndarray:
    """The columns of `Risk`: [2, P]. A problem without a coverage is not answered."""
    return np.stack([row.accuracy, np.nan_to_num(row.coverage)])


def _resampled(figure: Risk | AreaUnderCurve, rows: Mapping[str, np.ndarray]) -> dict[str, DrawnFigure]:
    """The figure of one seed's rows, [C, P] each."""
    if not rows:
        return {}
    return resampled(figure, {name: values[:, None] for name, values in rows.items()}, resamples=RESAMPLES)


def _estimate(figure: DrawnFigure, values: np.ndarray) -> Estimate:
    """The bootstrap interval, but no narrower than the score interval of the answered problems, one of `values` each:
    it holds where they hardly vary."""
    value = float(figure.values[0])
    low, high = np.nanquantile(figure.drawn[:, 0], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    least = score_interval(values, SHARE)
    spread = least.low - least.value, least.high - least.value
    return Estimate(value, max(min(low, value + spread[0]), 0.0), min(max(high, value + spread[1]), 1.0))
