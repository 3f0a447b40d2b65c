"""Which strategy each bin of problems gets under a budget. Arrays: B bins, S strategies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np

Spend = Literal["each", "across"]
"""How a budget binds: every strategy must fit into it, or the bins together."""
EQUAL = 1e-9
"""Accuracies, and costs in tokens, that differ by less are equal."""


def allocate(
    accuracy: np.ndarray, cost: np.ndarray, weight: np.ndarray, budget: float | None, spend: Spend
) -> list[int] | None:
    """The strategy of each bin with the greatest mean accuracy. Of equal ones the cheaper, then the first. None if
    nothing fits into the budget.

    Args:
        accuracy: [B, S], means over the problems of a bin.
        cost: [B, S], tokens.
        weight: [B], share of the problems.
        budget: Greatest mean tokens. With `each`, of a strategy over all problems, so that every bin chooses among the
            same ones; with `across`, of the whole allocation.
    """
    if budget is not None and spend == "across":
        return _across(accuracy, cost, weight, budget)
    fits = weight @ cost <= (math.inf if budget is None else budget + EQUAL)
    return [_best(own, paid, fits) for own, paid in zip(accuracy, cost, strict=True)] if fits.any() else None


def _best(accuracy: np.ndarray, cost: np.ndarray, fits: np.ndarray) -> int:
    good = fits & (accuracy >= accuracy[fits].max() - EQUAL)
    return int((good & (cost <= cost[good].min() + EQUAL)).argmax())  # the first


@dataclass(frozen=True, slots=True)
class _Partial:
    """Strategies of the first bins, with their sums over problems."""

    cost: float
    accuracy: float
    chosen: tuple[int, ...] = ()


def _across(accuracy: np.ndarray, cost: np.ndarray, weight: np.ndarray, budget: float) -> list[int] | None:
    """Exact: bin by bin, every partial allocation is kept that no cheaper one equals in accuracy."""
    front = [_Partial(0.0, 0.0)]
    for own, paid, share in zip(accuracy, cost, weight, strict=True):
        front = _undominated(
            [
                _Partial(one.cost + share * paid[s], one.accuracy + share * own[s], (*one.chosen, s))
                for one in front
                for s in range(len(own))
            ],
            budget,
        )
    return [int(s) for s in front[-1].chosen] if front else None


def _undominated(found: Sequence[_Partial], budget: float) -> list[_Partial]:
    """Those within the budget, by rising cost and rising accuracy."""
    kept: list[_Partial] = []
    for one in sorted(found, key=lambda one: (one.cost, -one.accuracy, one.chosen)):
        if one.cost <= budget + EQUAL and (not kept or one.accuracy > kept[-1].accuracy + EQUAL):
            kept.append(one)
    return kept
