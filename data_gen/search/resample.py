"""Resampling of weighted paths from log-weights: effective sample size, multinomial and systematic ancestors."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from data_gen.registry import Part


class Resample(Part):
    """When and how to resample: `Resample(scheme="systematic", ess=0.5)` resamples once the effective sample size is
    below half the number of paths."""

    scheme: Literal["systematic", "multinomial"] = "systematic"
    """Systematic resampling has lower variance at the same cost. Released code uses multinomial resampling."""
    ess: float = Field(1.0, ge=0, le=1)
    """Resample when the effective sample size falls below this share of the paths. 1: whenever weights differ. 0:
    never."""
    carry: bool = True
    """True: steps without resampling keep their weights. False is the released behaviour of FK steering, which discards
    them and so loses the target; it is kept to measure that cost."""

    def due(self, log_weights: Sequence[float]) -> bool:
        """Whether these weights call for resampling."""
        return effective(log_weights) < self.ess * len(log_weights) - 1e-9

    def ancestors(self, log_weights: Sequence[float], rng: random.Random) -> list[int]:
        """One ancestor index per path, drawn by weight."""
        return {"systematic": systematic, "multinomial": multinomial}[self.scheme](
            normalised(log_weights), len(log_weights), rng
        )


def log_sum(logs: Sequence[float]) -> float:
    """log of the sum of exponentials; -inf for none."""
    top = max(logs, default=-math.inf)
    return top + math.log(sum(math.exp(x - top) for x in logs)) if top > -math.inf else top


def normalised(log_weights: Sequence[float]) -> list[float]:
    """Weights that sum to 1. They are equal if all are 0.

    >>> normalised([0.0, 0.0, -math.inf])
    [0.5, 0.5, 0.0]
    """
    total = log_sum(log_weights)
    return [math.exp(x - total) if total > -math.inf else 1 / len(log_weights) for x in log_weights]


def effective(log_weights: Sequence[float]) -> float:
    """Effective sample size, (sum w)^2 / sum w^2: n for equal weights, 1 if one path has all the weight.

    >>> effective([0.0, 0.0, -math.inf])
    2.0
    """
    return 1 / sum(w * w for w in normalised(log_weights))


def multinomial(weights: Sequence[float], n: int, rng: random.Random) -> list[int]:
    """n independent draws."""
    return rng.choices(range(len(weights)), weights, k=n)


def systematic(weights: Sequence[float], n: int, rng: random.Random) -> list[int]:
    """n equally spaced points over the cumulative weights, shifted by one uniform number. Counts differ from n * w by
    less than 1."""
    edges, shift, found, index = list(itertools.accumulate(weights)), rng.random(), list[int](), 0
    for i in range(n):
        point = (i + shift) / n * edges[-1]
        while edges[index] <= point:
            index += 1
        found.append(index)
    return found
