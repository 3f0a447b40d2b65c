"""Figures of a whole row that no single problem has: ratios of sums such as F1 and risk, and areas under curves.

A figure is computed anew from the columns of every resample of problems (`figure_intervals.py`). Arrays: C columns, P
problems, R resamples. Numpy only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_gen.errors import UserError
from data_gen.measures.base import AURC, RISK

ANSWERED, CONFIDENCE, SHOWN_RIGHT = "share answered", "confidence shown", "shown answer right"
"""Columns that no table shows: a row's coverage (1 for one that never abstains), how sure it is of the shown answer
(NaN if it does not say so), and whether that answer is right."""


class RowFigure(ABC):
    """A number that a row has as a whole."""

    columns: tuple[str, ...]
    """The columns of its problems that it reads."""

    @abstractmethod
    def of(self, values: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """The figure in every resample: [R]. NaN where it is not defined.

        Args:
            values: The columns: [C, P].
            counts: How often each problem is in the resample: [R, P].
        """

    @abstractmethod
    def counted(self, values: np.ndarray) -> int:
        """The number of problems that the figure depends on: those that are in its denominator."""

    def value(self, values: np.ndarray) -> float:
        """The figure of all problems, each counted once. values [C, P]."""
        return float(self.of(values, np.ones((1, values.shape[1])))[0])


@dataclass(frozen=True, slots=True)
class RatioOfSums(RowFigure):
    """The sum of one column over the sum of another.

    >>> RatioOfSums(("hits", "said")).value(np.array([[1.0, 0.0, 1.0], [1.0, 1.0, 2.0]]))
    0.5
    """

    columns: tuple[str, str]

    def of(self, values: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """NaN where the second sum is 0."""
        return _ratio(counts @ values[0], counts @ values[1])

    def counted(self, values: np.ndarray) -> int:
        """Problems with something in the second column."""
        return int((values[1] != 0).sum())


@dataclass(frozen=True, slots=True)
class MeanPower(RowFigure):
    """The mean of R^n over problems, where R is the ratio of the sums of two columns and n is the third.

    >>> MeanPower(("right", "tried", "n")).value(np.array([[1.0, 2.0], [2.0, 2.0], [1.0, 2.0]]))
    0.65625
    """

    columns: tuple[str, str, str]

    def of(self, values: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """NaN where R is not defined."""
        ratio = _ratio(counts @ values[0], counts @ values[1])
        powers, place = np.unique(values[2], return_inverse=True)
        sizes = counts @ (place[:, None] == np.arange(len(powers)))
        found: np.ndarray = (ratio[:, None] ** powers * sizes).sum(axis=1) / sizes.sum(axis=1)
        return found

    def counted(self, values: np.ndarray) -> int:
        """Problems with something in the second column."""
        return int((values[1] != 0).sum())


@dataclass(frozen=True, slots=True)
class HarmonicMean(RowFigure):
    """The harmonic mean of two ratios of sums; 0 if both are 0.

    >>> HarmonicMean(("a", "b", "c", "d")).value(np.array([[1.0], [4.0], [3.0], [4.0]]))
    0.375
    """

    columns: tuple[str, str, str, str]

    def of(self, values: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """NaN where one of the ratios is not defined."""
        sums = counts @ values.T
        one, other = _ratio(sums[:, 0], sums[:, 1]), _ratio(sums[:, 2], sums[:, 3])
        both = one + other
        return np.divide(2 * one * other, both, out=both.copy(), where=both != 0)

    def counted(self, values: np.ndarray) -> int:
        """Problems of the ratio that has fewer."""
        return int(min((values[1] != 0).sum(), (values[3] != 0).sum()))


@dataclass(frozen=True, slots=True)
class Risk(RowFigure):
    """The share of wrong answers among the answered problems.

    >>> Risk().value(np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]]))
    0.5
    """

    columns: tuple[str, str] = ("accuracy", ANSWERED)

    def of(self, values: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """NaN where nothing is answered."""
        return _ratio(counts @ np.maximum(values[1] - values[0], 0.0), counts @ values[1])

    def counted(self, values: np.ndarray) -> int:
        """Problems that may be answered."""
        return int((values[1] > 0).sum())


@dataclass(frozen=True, slots=True)
class AreaUnderCurve(RowFigure):
    """The area under the risk-coverage curve of the shown answers (`areas`).

    >>> AreaUnderCurve().value(np.array([[0.9, 0.5, np.nan], [1.0, 0.0, 0.0]]))
    0.25
    """

    columns: tuple[str, str] = (CONFIDENCE, SHOWN_RIGHT)

    def of(self, values: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """NaN where no answer has a confidence."""
        some = ~np.isnan(values[0])
        if not some.any():
            return np.full(len(counts), np.nan)
        return areas(values[0, some], 1.0 - values[1, some], counts[:, some])

    def counted(self, values: np.ndarray) -> int:
        """Problems whose shown answer has a confidence."""
        return int((~np.isnan(values[0])).sum())


def declared(columns: Sequence[str]) -> RowFigure:
    """The figure that a measure declares by its columns (`Measure.ratios`). UserError unless there are 2, 3 or 4."""
    kinds: dict[int, type[RowFigure]] = {2: RatioOfSums, 3: MeanPower, 4: HarmonicMean}
    if len(columns) not in kinds:
        raise UserError(
            f"ratios: expected 2, 3 or 4 columns, got {list(columns)}. Name two for a ratio of sums, a third for the "
            "mean of its powers, or four for the harmonic mean of two ratios."
        )
    made: RowFigure = kinds[len(columns)](tuple(columns))  # type: ignore[call-arg]
    return made


def figures_among(metrics: Iterable[str], *manifests: Mapping[str, Any]) -> dict[str, RowFigure]:
    """The metrics that are figures of whole rows: `risk`, `aurc`, and those that tables declare in their manifests.

    UserError if two tables declare one name differently.
    """
    known: dict[str, RowFigure] = {RISK: Risk(), AURC: AreaUnderCurve()}
    for made in manifests:
        for name, columns in made.get("metrics", {}).get("summary", {}).get("ratios", {}).items():
            own = declared(columns)
            if (first := known.setdefault(name, own)) != own:
                raise UserError(
                    f"{name}: one table makes it of {', '.join(own.columns)}, another of {', '.join(first.columns)}. "
                    "Evaluate all arms with the same measures."
                )
    return {metric: known[metric] for metric in metrics if metric in known}


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom != 0)
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
