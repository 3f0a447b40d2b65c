"""Strategies by difficulty, fitted on some folds of the problems and applied to the other (Snell et al., arXiv
2408.03314, section 3.2).

The paper bins all test problems and chooses within a bin by two folds. Here the edges of the bins, too, come from the
problems that choose: nothing about a problem's outcome, nor its place among the others, decides its own strategy.
Arrays: P problems, S strategies.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from reasoning_train.api.stage import gate
from reasoning_train.evaluation.allocation import Spend, allocate
from reasoning_train.evaluation.bins import bin_of, edges


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What every strategy achieved on every problem, and the fold of each problem."""

    strategies: tuple[str, ...]
    accuracy: np.ndarray
    """[P, S]."""
    cost: np.ndarray
    """[P, S], tokens."""
    fold: np.ndarray
    """[P], from 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ByDifficulty:
    """A way to choose strategies: by which difficulty, at which price, under which budget."""

    difficulty: np.ndarray
    """[P]. One value for all problems makes one bin."""
    bins: int = 1
    fee: float | np.ndarray = 0.0
    """Tokens of the estimate: [P], or 0 where it is not charged."""
    budget: float | None = None
    """Greatest mean tokens a problem, the fee included. None: no limit."""
    spend: Spend = "each"


@dataclass(frozen=True, slots=True)
class Fitted:
    """What one fold is given: the strategies of its bins, easiest first, as the other folds chose them.

    >>> Fitted(fold=0, edges=(-0.5,), strategies=("majority@2", "beam"), problems=(10, 8)).strategies[1]
    'beam'
    """

    fold: int
    edges: tuple[float, ...]
    """Upper edges of all bins but the last."""
    strategies: tuple[str, ...]
    problems: tuple[int, ...]
    """Number of problems of each bin that chose."""

    def to_json(self) -> dict[str, Any]:
        """As the manifest keeps it."""
        return asdict(self)


def cross_fitted(name: str, outcomes: Outcomes, rule: ByDifficulty) -> tuple[np.ndarray, list[Fitted]]:
    """The strategy of every problem, [P] indices, and what each fold was given. GateError if no strategy fits into the
    budget; `name` is the row, for the message."""
    chosen = np.zeros(len(outcomes.fold), dtype=np.intp)
    given = []
    for fold in sorted(set(outcomes.fold.tolist())):
        held = outcomes.fold == fold
        uppers = edges(rule.difficulty[~held].tolist(), rule.bins)
        bins = np.array([bin_of(one, uppers) for one in rule.difficulty])
        picked, problems = _fit(name, outcomes, rule, bins, ~held)
        chosen[held] = np.array(picked)[bins[held]]
        names = tuple(outcomes.strategies[s] for s in picked)
        given.append(Fitted(fold, tuple(uppers), names, tuple(problems)))
    return chosen, given


def _fit(
    name: str, outcomes: Outcomes, rule: ByDifficulty, bins: np.ndarray, seen: np.ndarray
) -> tuple[list[int], list[int]]:
    """The strategy of every bin and the number of problems that chose it, from the problems `seen`."""
    members = [seen & (bins == b) for b in range(int(bins[seen].max()) + 1)]
    accuracy, cost = (np.stack([of[m].mean(axis=0) for m in members]) for of in (outcomes.accuracy, outcomes.cost))
    counts = np.array([m.sum() for m in members])
    fee = float(np.broadcast_to(rule.fee, len(seen))[seen].mean())
    left = None if rule.budget is None else rule.budget - fee
    picked = allocate(accuracy, cost, counts / counts.sum(), left, rule.spend)
    if picked is None:
        least = float(np.min(outcomes.cost[seen].mean(axis=0)))
        enough = math.ceil(least + fee)
        gate(
            False,
            f"adaptive.budgets: {rule.budget:g} tokens a problem are not enough for {name!r}: the cheapest strategy "
            f"takes {least:.1f} and the estimate of difficulty {fee:.1f}. Raise the budget to {enough}, "
            "or lower `estimate.n`.",
        )
        raise AssertionError
    return picked, [int(n) for n in counts]
