"""Metrics against enumeration and order."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasoning_train.evaluation.metrics import majority_is_correct, pass_at_k


@given(st.integers(1, 8).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_share_of_subsets_with_a_correct_sample(case: tuple[int, int, int]) -> None:
    n, correct, k = case
    samples = [True] * correct + [False] * (n - correct)
    subsets = list(itertools.combinations(samples, k))
    assert pass_at_k(n, correct, k) == pytest.approx(sum(any(s) for s in subsets) / len(subsets))


@pytest.mark.parametrize(
    ("n", "correct", "k", "value"),
    [(5, 2, 3, 1 - 1 / 10), (10, 3, 1, 0.3), (4, 1, 2, 1 - 3 / 6), (200, 1, 100, 0.5), (4, 0, 4, 0.0), (4, 2, 3, 1.0)],
)
def test_pass_at_k_by_hand(n: int, correct: int, k: int, value: float) -> None:
    """1 - C(n - correct, k) / C(n, k)."""
    assert pass_at_k(n, correct, k) == pytest.approx(value)


@pytest.mark.parametrize(("n", "k"), [(4, 5), (4, 0), (0, 1)])
def test_pass_at_k_refuses_k_outside_the_samples(n: int, k: int) -> None:
    with pytest.raises(ValueError, match=f"pass@{k} needs 1 <= k <= n, got n={n}"):
        pass_at_k(n, 0, k)


def test_majority_counts_votes_of_the_first_k() -> None:
    answers, correct = ["7", "8", "8", "7", "7"], [True, False, False, True, True]
    assert majority_is_correct(answers, correct, 3, "p") == 0.0
    assert majority_is_correct(answers, correct, 5, "p") == 1.0


def test_samples_without_an_answer_do_not_vote() -> None:
    assert majority_is_correct([None, None, None, "7"], [False, False, False, True], 4, "p") == 1.0
    assert majority_is_correct([None, None], [False, False], 2, "p") == 0.0


def test_ties_do_not_depend_on_order_and_are_fair_over_problems() -> None:
    wins = 0
    for number in range(400):
        votes = [("7", True), ("7", True), ("8", False), ("8", False), (None, False)]
        outcomes = set()
        for order in ([0, 1, 2, 3, 4], [3, 4, 2, 1, 0], [2, 0, 4, 3, 1]):
            shown = [votes[i] for i in order]
            outcomes.add(majority_is_correct([a for a, _ in shown], [c for _, c in shown], 5, f"p{number}"))
        assert len(outcomes) == 1
        wins += outcomes == {1.0}
    assert 150 < wins < 250  # binomial(400, 1/2) leaves this range once in two million
