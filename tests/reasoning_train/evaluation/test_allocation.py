"""Strategies under a budget: against all allocations, and where ties, budgets and bins decide."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasoning_train.evaluation.allocation import Spend, allocate

HALVES = np.array([0.5, 0.5])
BOTH: list[Spend] = ["each", "across"]


@pytest.mark.parametrize("spend", BOTH)
def test_without_a_budget_every_bin_takes_its_best(spend: Spend) -> None:
    accuracy, cost = np.array([[0.9, 0.8], [0.1, 0.6]]), np.array([[10.0, 99.0], [10.0, 99.0]])
    assert allocate(accuracy, cost, HALVES, None, spend) == [0, 1]


@pytest.mark.parametrize("spend", BOTH)
def test_ties_go_to_the_cheaper_then_to_the_first(spend: Spend) -> None:
    accuracy = np.array([[0.7, 0.7, 0.7], [0.2, 0.2, 0.2]])
    cost = np.array([[30.0, 10.0, 10.0], [5.0, 5.0, 9.0]])
    for budget in (None, 1000.0):
        assert allocate(accuracy, cost, HALVES, budget, spend) == [1, 0]


def test_each_strategy_must_fit_by_its_mean_over_all_problems() -> None:
    """The second costs 60 on easy and 140 on hard problems, 100 on the mean: it fits into 100, not into 99, wherever it
    is used."""
    accuracy, cost = np.array([[0.5, 0.9], [0.5, 0.9]]), np.array([[10.0, 60.0], [10.0, 140.0]])
    assert allocate(accuracy, cost, HALVES, 100.0, "each") == [1, 1]
    assert allocate(accuracy, cost, HALVES, 99.0, "each") == [0, 0]


def test_across_leaves_to_the_hard_bin_what_the_easy_one_does_not_need() -> None:
    """100 tokens a problem: the expensive strategy costs 190 and fits once, where it gains 40 points and not 10."""
    accuracy, cost = np.array([[0.8, 0.9], [0.2, 0.6]]), np.array([[10.0, 190.0], [10.0, 190.0]])
    assert allocate(accuracy, cost, HALVES, 100.0, "across") == [0, 1]
    assert allocate(accuracy, cost, HALVES, 100.0, "each") == [0, 0]
    # With few hard problems it is spent on the easy ones: 0.9 * 190 + 0.1 * 10 = 172.
    assert allocate(accuracy, cost, np.array([0.9, 0.1]), 172.0, "across") == [1, 0]


@pytest.mark.parametrize("spend", BOTH)
def test_what_fits_nowhere_is_told(spend: Spend) -> None:
    assert allocate(np.ones((2, 2)), np.full((2, 2), 50.0), HALVES, 49.0, spend) is None


GRID = st.integers(0, 4)


@given(data=st.data(), bins=st.integers(1, 3), strategies=st.integers(1, 4), budget=st.integers(0, 5))
def test_across_equals_the_best_of_all_allocations(
    data: st.DataObject, bins: int, strategies: int, budget: int
) -> None:
    """Small whole numbers, so that ties are frequent: the accuracy and then the cost of the best of S ** B."""
    table = st.lists(st.lists(GRID, min_size=strategies, max_size=strategies), min_size=bins, max_size=bins)
    accuracy, cost = np.array(data.draw(table)) / 4, np.array(data.draw(table), dtype=float)
    counts = np.array(data.draw(st.lists(st.integers(1, 3), min_size=bins, max_size=bins)), dtype=float)
    weight = counts / counts.sum()

    def worth(chosen: tuple[int, ...]) -> tuple[float, float]:
        of = np.arange(bins), list(chosen)
        return round(float(weight @ accuracy[of]), 6), -round(float(weight @ cost[of]), 6)

    every = [one for one in itertools.product(range(strategies), repeat=bins) if -worth(one)[1] <= budget]
    found = allocate(accuracy, cost, weight, float(budget), "across")
    assert (found is None) == (not every)
    if found is not None:
        assert worth(tuple(found)) == max(map(worth, every))


@given(data=st.data(), budget=st.integers(1, 5))
def test_across_is_never_worse_than_each_or_than_one_for_all(data: st.DataObject, budget: int) -> None:
    """Whatever one strategy achieves within the budget, the bins together can."""
    table = st.lists(st.lists(GRID, min_size=3, max_size=3), min_size=2, max_size=2)
    accuracy, cost = np.array(data.draw(table)) / 4, np.array(data.draw(table), dtype=float)
    across = allocate(accuracy, cost, HALVES, float(budget), "across")
    fixed = [s for s in range(3) if cost[:, s].mean() <= budget]
    if fixed:
        assert across is not None
        assert accuracy[[0, 1], across].mean() >= max(accuracy[:, s].mean() for s in fixed) - 1e-9
