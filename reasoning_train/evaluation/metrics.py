"""Accuracy metrics and their bootstrap intervals. Arrays: P problems, S seeds. Numpy only."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np

RESAMPLES = 10_000
CHUNK = 500
"""Resamples held at a time."""
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its 95 % interval: `Estimate(0.512, 0.481, 0.543)`."""

    value: float
    low: float
    high: float

    def percent(self, signed: bool = False) -> str:
        """`51.2 [48.1, 54.3]`; `+8.8 [6.2, 11.2]` when signed."""
        sign = "+" if signed else ""
        return f"{100 * self.value:{sign}.1f} [{100 * self.low:{sign}.1f}, {100 * self.high:{sign}.1f}]"


def pass_at_k(n: int, correct: int, k: int) -> float:
    """Unbiased pass@k = 1 - C(n-c, k) / C(n, k) of one problem (Chen et al. 2021, arXiv 2107.03374, eq. 1). ValueError
    if k > n."""
    if not 1 <= k <= n:
        raise ValueError(f"pass@{k} needs 1 <= k <= n, got n={n}")
    return 1.0 - comb(n - correct, k) / comb(n, k)


def majority_is_correct(answers: Sequence[str | None], correct: Sequence[bool], k: int, key: str) -> float:
    """Whether the majority of the first k answers is correct: 0 without an answer."""
    voted = majority(answers, k, key)
    right = {answer: verdict for answer, verdict in zip(answers[:k], correct[:k], strict=True)}
    return 0.0 if voted is None else float(right[voted])


def majority(answers: Sequence[str | None], k: int, key: str) -> str | None:
    """What most of the first k answers say; samples without an answer do not vote, None where none has one.

    A tie goes to one of the leaders by a hash of `key` and the answer, so it is seeded and does not depend on order.
    """
    votes = Counter(answer for answer in answers[:k] if answer is not None)
    top = max(votes.values(), default=0)
    leaders = [answer for answer, count in votes.items() if count == top]
    return min(leaders, key=lambda a: hashlib.blake2b(f"{key}\x1f{a}".encode()).digest(), default=None)


def bootstrap(values: np.ndarray, seed: int = 0) -> Estimate:
    """Mean over problems with a percentile bootstrap interval. values [P]."""
    return crossed_bootstrap(np.asarray(values, dtype=float)[None, None, :], seed)[0]


def crossed_bootstrap(values: np.ndarray, seed: int = 0) -> list[Estimate]:
    """Means with intervals over seeds and problems, both resampled, independently (the pigeonhole bootstrap of Owen
    2007).

    values [M, S, P]: M metrics that share the resamples, so that all of them cost about as much as one. With one seed
    this is the plain bootstrap over problems.
    """
    values = np.asarray(values, dtype=float)
    _, seeds, problems = values.shape
    rng, means = np.random.default_rng(seed), []
    for _ in range(0, RESAMPLES, CHUNK):
        over_seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=CHUNK) / seeds
        over_problems = rng.multinomial(problems, np.full(problems, 1 / problems), size=CHUNK) / problems
        by_seed = np.einsum("rp,msp->mrs", over_problems, values, optimize=True)
        means.append(np.einsum("mrs,rs->mr", by_seed, over_seeds, optimize=True))
    low, high = np.quantile(np.concatenate(means, axis=1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
    centre = values.mean(axis=(1, 2))
    return [Estimate(float(c), float(a), float(b)) for c, a, b in zip(centre, low, high, strict=True)]
