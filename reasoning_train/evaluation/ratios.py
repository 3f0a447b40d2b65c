"""Ratios of sums, such as F1, in the form of means: their intervals and paired differences are those of any metric."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def ratio_arrays(arrays: Mapping[str, np.ndarray], ratios: Mapping[str, tuple[str, str]]) -> dict[str, np.ndarray]:
    """Ratio -> an array whose mean is the ratio R of the sums, and whose spread is that of R to first order (the delta
    method): R + (top - R bottom) / mean(bottom). Ratios whose columns are missing or sum to 0 are left out.

    >>> ratio_arrays({"hits": np.array([1.0, 0.0]), "said": np.array([1.0, 1.0])}, {"precision": ("hits", "said")})
    {'precision': array([1., 0.])}
    """
    found = {}
    for name, (above, below) in ratios.items():
        if above in arrays and below in arrays and len(arrays[above]) == len(arrays[below]):
            top, bottom = arrays[above], arrays[below]
            if bottom.sum():
                ratio = top.sum() / bottom.sum()
                found[name] = ratio + (top - ratio * bottom) / bottom.mean()
    return found
