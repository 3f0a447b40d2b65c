"""Metrics against enumeration and order."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasoning_train.evaluation.metrics import pass_at_k


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
