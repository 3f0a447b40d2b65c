"""Cross-fitted choices: enumerated toy tables, no problem chooses its own strategy, and when bins change nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasoning_train.api.stage import GateError
from reasoning_train.evaluation.adaptive import ByDifficulty, Outcomes, cross_fitted

FOLDS = np.array([0, 0, 1, 1] * 2)
HARD = np.array([0.0] * 4 + [1.0] * 4)
"""Four easy problems, then four hard ones, two of each in every fold."""


def outcomes(fold: np.ndarray = FOLDS, **strategies: tuple[list[float], float]) -> Outcomes:
    """`outcomes(cheap=([1, 0], 10.0))`: accuracy on each problem, and the same tokens on all."""
    accuracy = np.array([right for right, _ in strategies.values()], dtype=float).T
    cost = np.tile([paid for _, paid in strategies.values()], (len(fold), 1))
    return Outcomes(tuple(strategies), accuracy, cost, fold)


def accuracy(found: Outcomes, rule: ByDifficulty) -> float:
    chosen, _ = cross_fitted("row", found, rule)
    return float(found.accuracy[np.arange(len(chosen)), chosen].mean())


EASY_ONLY = [1.0] * 4 + [0.0] * 4
HARD_ONLY = [0.0] * 4 + [1.0] * 4


def test_the_best_assignment_is_found() -> None:
    """One strategy is right on easy problems, the other on hard ones: a half for each alone, all by difficulty."""
    found = outcomes(vote=(EASY_ONLY, 10.0), beam=(HARD_ONLY, 90.0))
    chosen, given_ = cross_fitted("row", found, ByDifficulty(difficulty=HARD, bins=2))
    assert chosen.tolist() == [0] * 4 + [1] * 4
    assert [(one.fold, one.edges, one.strategies, one.problems) for one in given_] == [
        (0, (0.0,), ("vote", "beam"), (2, 2)),
        (1, (0.0,), ("vote", "beam"), (2, 2)),
    ]
    assert accuracy(found, ByDifficulty(difficulty=np.zeros(8))) == 0.5


def test_what_is_best_on_the_choosing_fold_alone_gains_nothing() -> None:
    """`lucky` is right on all of fold 0 and on none of fold 1, `steady` on half of each. Fold 1 is given `lucky`, which
    fails there; fold 0, whose luck it was, is given `steady`. Chosen in hindsight both would be taken for a half."""
    fold = np.array([0] * 4 + [1] * 4)
    found = outcomes(fold, lucky=(EASY_ONLY, 1.0), steady=([1.0, 0.0] * 4, 1.0))
    chosen, _ = cross_fitted("row", found, ByDifficulty(difficulty=np.zeros(8)))
    assert chosen.tolist() == [1] * 4 + [0] * 4
    assert accuracy(found, ByDifficulty(difficulty=np.zeros(8))) == 0.25


@given(data=st.data(), flipped=st.integers(0, 11), bins=st.integers(1, 4))
def test_no_problem_has_a_say_in_its_own_strategy(data: st.DataObject, flipped: int, bins: int) -> None:
    """Whatever a problem's outcomes, costs and the other difficulties of its fold are, it is given the same."""
    fold = np.array([0, 1] * 6)
    numbers = st.lists(st.integers(0, 3), min_size=12, max_size=12)
    before = np.array([data.draw(numbers) for _ in range(3)], dtype=float).T
    difficulty = np.array(data.draw(numbers), dtype=float)
    after, moved = before.copy(), difficulty.copy()
    after[fold == fold[flipped]] = data.draw(st.integers(0, 3))
    moved[(fold == fold[flipped]) & (np.arange(12) != flipped)] = data.draw(st.integers(0, 3))
    given_ = [
        cross_fitted("row", Outcomes(("a", "b", "c"), rows, rows + 1, fold), ByDifficulty(difficulty=hard, bins=bins))
        for rows, hard in ((before, difficulty), (after, moved))
    ]
    assert given_[0][0][flipped] == given_[1][0][flipped]


def test_equal_to_one_for_all_where_one_dominates() -> None:
    found = outcomes(good=([1.0] * 7 + [0.0], 10.0), bad=([0.0] * 7 + [0.0], 5.0))
    for bins in (1, 2, 5):
        assert accuracy(found, ByDifficulty(difficulty=np.arange(8.0), bins=bins)) == 7 / 8


def test_equal_strategies_go_to_the_cheaper() -> None:
    found = outcomes(dear=(EASY_ONLY, 50.0), cheap=(EASY_ONLY, 20.0), same=(EASY_ONLY, 20.0))
    assert set(cross_fitted("row", found, ByDifficulty(difficulty=HARD, bins=2))[0].tolist()) == {1}


def test_fewer_problems_than_bins() -> None:
    """Two problems, one a fold: a bin each, and each is given what the other chose."""
    found = outcomes(np.array([0, 1]), a=([1.0, 0.0], 1.0), b=([0.0, 1.0], 1.0))
    chosen, given_ = cross_fitted("row", found, ByDifficulty(difficulty=np.array([0.0, 1.0]), bins=5))
    assert chosen.tolist() == [1, 0] and [len(one.strategies) for one in given_] == [1, 1]


def test_the_fee_narrows_the_budget() -> None:
    """100 tokens: the strategy of 90 fits alone, not beside an estimate of 20 tokens on the mean."""
    found = outcomes(vote=(EASY_ONLY, 10.0), beam=(HARD_ONLY, 90.0))
    fee = np.array([10.0, 30.0] * 4)
    assert accuracy(found, ByDifficulty(difficulty=HARD, bins=2, budget=100.0)) == 1.0
    assert accuracy(found, ByDifficulty(difficulty=HARD, bins=2, budget=100.0, fee=fee)) == 0.5
    # Together they take 50 of the 80 that are left.
    across = ByDifficulty(difficulty=HARD, bins=2, budget=100.0, fee=fee, spend="across")
    assert accuracy(found, across) == 1.0


def test_a_budget_that_nothing_fits_into_is_told() -> None:
    found = outcomes(vote=(EASY_ONLY, 10.0), beam=(HARD_ONLY, 90.0))
    with pytest.raises(GateError) as told:
        cross_fitted("adaptive@25", found, ByDifficulty(difficulty=HARD, budget=25.0, fee=20.0))
    assert str(told.value) == (
        "adaptive.budgets: 25 tokens a problem are not enough for 'adaptive@25': the cheapest strategy takes 10.0 and "
        "the estimate of difficulty 20.0. Raise the budget to 30, or lower `estimate.n`."
    )
    with pytest.raises(GateError, match="Raise the budget to 31,"):  # 30 would still be too little
        cross_fitted("adaptive@25", found, ByDifficulty(difficulty=HARD, budget=25.0, fee=20.4))
