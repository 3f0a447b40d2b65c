"""Ratios of sums, such as F1, in the form of means: their intervals and paired differences are those of any metric."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def ratio_arrays(arrays: Mapping[str, np.ndarray], ratios: Mapping[str, tuple[str, ...]]) -> dict[str, np.ndarray]:
    """Ratio -> an array whose mean is the ratio R of the sums of two columns, and whose spread is that of R to first
    order (the delta method): R + (top - R bottom) / mean(bottom). With a third column n, its mean is that of R^n.
    Ratios whose columns are missing or sum to 0 are left out.

    >>> ratio_arrays({"hits": np.array([1.0, 0.0]), "said": np.array([1.0, 1.0])}, {"precision": ("hits", "said")})
    {'precision': array([1., 0.])}
    """
    found = {}
    for name, columns in ratios.items():
        if all(column in arrays for column in columns) and len({len(arrays[column]) for column in columns}) == 1:
            top, bottom, *power = (arrays[column] for column in columns)
            if bottom.sum():
                ratio = top.sum() / bottom.sum()
                change = (top - ratio * bottom) / bottom.mean()
                found[name] = _powers(ratio, change, power[0]) if power else ratio + change
    return found


def _powers(ratio: float, change: np.ndarray, n: np.ndarray) -> np.ndarray:
    """R^n of every row, with what a row's own change of R does to the mean. n >= 1."""
    return ratio**n + (n * ratio ** (n - 1)).mean() * change
