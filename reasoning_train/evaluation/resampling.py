"""The limits of drawing until a verifier accepts, in closed form (Stroebl et al., arXiv 2411.17501).

The published notebook multiplies the worth of an attempt, which is already weighted by the chance to get there, by that
chance again. The formulas here are exact; `tests/reasoning_train/evaluation/test_resampling.py` enumerates them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import expm1, log1p

import numpy as np

from reasoning_train.evaluation.intervals import LEVEL, Estimate, interval

RESAMPLES = 400
"""Resamples of the problems for the interval of the best number of draws."""
CHUNK = 500
"""Problems whose worths are held at a time."""
TIE = 1e-12
"""Worths that differ by less are equal, and fewer draws are better."""


@dataclass(frozen=True, slots=True)
class Resampled:
    """What at most so many draws come to on one problem: `Resampled(accuracy=0.75, coverage=0.875, draws=1.75)`."""

    accuracy: float
    """P(a right candidate is accepted)."""
    coverage: float
    """P(any candidate is accepted); otherwise the rule abstains."""
    draws: float
    """Mean number of draws, the accepted one included."""


def within(right: float, wrong: float, n: int) -> Resampled:
    """At most n independent draws, each accepted and right with chance `right`, accepted and wrong with chance `wrong`.

    >>> within(0.25, 0.25, 2)
    Resampled(accuracy=0.375, coverage=0.75, draws=1.5)
    """
    accepted = right + wrong
    coverage = -expm1(n * log1p(-accepted)) if accepted < 1 else 1.0  # 1 - (1 - accepted)^n, exact for small chances
    return Resampled(
        accuracy=right / accepted * coverage if accepted else 0.0,
        coverage=coverage,
        draws=coverage / accepted if accepted else float(n),
    )


@dataclass(frozen=True, slots=True)
class Draws:
    """What one draw comes to on P problems: `Draws(right=np.array([0.3]), wrong=np.array([0.2]))`."""

    right: np.ndarray
    """Chance to be accepted and right: [P]."""
    wrong: np.ndarray
    """Chance to be accepted and wrong: [P]."""

    @property
    def accepted(self) -> np.ndarray:
        """Chance to be accepted: [P]."""
        return self.right + self.wrong

    @property
    def plateau(self) -> np.ndarray:
        """Accuracy of draws without end: [P]. It is P(right | accepted), and 0 where nothing is ever accepted."""
        return self.worth(0.0)

    def worth(self, price: float, n: np.ndarray | None = None) -> np.ndarray:
        """P(right) - price * P(wrong) of at most n draws: [P, N], or [P] for draws without end. Abstaining is free."""
        known = self.accepted > 0
        net = np.divide(self.right - price * self.wrong, self.accepted, out=np.zeros(len(known)), where=known)
        if n is None:
            return net
        return net[:, None] * (1 - (1 - self.accepted.clip(0, 1))[:, None] ** n[None, :])


@dataclass(frozen=True, slots=True)
class BestDraws:
    """The best greatest number of draws under a price: `BestDraws(2.0, 3, (2, 7), Estimate(...), 0.1, False)`."""

    price: float
    """What a wrong answer costs, in right ones."""
    n: int
    """0: not answering is better than any number."""
    span: tuple[int, int]
    """95 % interval of the best number, over resampled problems."""
    worth: Estimate
    """Mean worth a problem of n draws, with its interval at this n."""
    endless: float
    """Mean worth of draws without end."""
    beyond: bool
    """Whether more draws than were looked at are better still."""


def best_draws(draws: Draws, price: float, most: int) -> BestDraws:
    """The best number of draws from 0 to `most`: the least of those whose mean worth over the problems is greatest.

    On a single problem the worth only rises or only falls with more draws. Over problems that differ, late acceptances
    come from the hard ones and are wrong more often, so that the best number may lie in between.
    """
    size = len(draws.right)
    rng = np.random.default_rng(0)
    samples = np.vstack([np.ones(size), rng.multinomial(size, np.full(size, 1 / size), size=RESAMPLES)]) / size
    best = _first_best(_means(draws, price, most, samples))
    low, high = np.quantile(best, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="closest_observation")
    n, endless = int(best[0]), float(draws.worth(price).mean())
    worth = interval(draws.worth(price, np.array([n]))[:, 0], (-price, 1.0)) if n else Estimate(0.0, 0.0, 0.0)
    return BestDraws(
        price=price,
        n=n,
        span=(min(int(low), n), max(int(high), n)),
        worth=worth,
        endless=endless,
        beyond=endless > worth.value + TIE,
    )


def _means(draws: Draws, price: float, most: int, samples: np.ndarray) -> np.ndarray:
    """Mean worth of 0..most draws, for each weighting of the problems [R, P]: [R, most + 1]."""
    n, total = np.arange(most + 1), np.zeros((len(samples), most + 1))
    for start in range(0, len(draws.right), CHUNK):
        some = slice(start, start + CHUNK)
        total += samples[:, some] @ Draws(draws.right[some], draws.wrong[some]).worth(price, n)
    return total


def _first_best(means: np.ndarray) -> np.ndarray:
    """The first column that is greatest in each row of [R, N]."""
    found: np.ndarray = np.argmax(means >= means.max(axis=1, keepdims=True) - TIE, axis=1)
    return found
