"""Metrics against enumeration, order, and the normal approximation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasoning_train.evaluation.metrics import Estimate, bootstrap, crossed_bootstrap, majority_is_correct, pass_at_k


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


def test_bootstrap_of_a_bernoulli_agrees_with_the_normal_approximation() -> None:
    values = np.array([1.0] * 420 + [0.0] * 580)
    estimate = bootstrap(values)
    half = 1.96 * math.sqrt(0.42 * 0.58 / 1000)
    assert estimate.value == pytest.approx(0.42)
    assert estimate.low == pytest.approx(0.42 - half, abs=0.002)
    assert estimate.high == pytest.approx(0.42 + half, abs=0.002)


def test_bootstrap_covers_the_true_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(60):
        estimate = bootstrap(rng.random(80) < 0.4)
        hits += estimate.low <= 0.4 <= estimate.high
    assert hits >= 51  # binomial(60, 0.95) is below this once in a thousand


def test_one_seed_gives_the_bootstrap_over_problems() -> None:
    values = np.random.default_rng(1).random(200)
    [crossed] = crossed_bootstrap(values[None, None, :])
    plain = np.random.default_rng(0).choice(values, size=(10_000, 200)).mean(axis=1)
    assert crossed == bootstrap(values)
    assert crossed.low == pytest.approx(np.quantile(plain, 0.025), abs=0.003)
    assert crossed.high == pytest.approx(np.quantile(plain, 0.975), abs=0.003)


def test_seeds_that_differ_widen_the_interval() -> None:
    problems = np.random.default_rng(2).random(400)
    alike = np.stack([problems] * 5)
    apart = alike + np.array([-0.2, -0.1, 0.0, 0.1, 0.2])[:, None]
    [narrow], [wide] = crossed_bootstrap(alike[None]), crossed_bootstrap(apart[None])
    assert wide.value == pytest.approx(narrow.value)
    half = 1.96 * math.sqrt(np.var([-0.2, -0.1, 0.0, 0.1, 0.2]) / 5 + problems.var() / 400)
    assert wide.high - wide.low == pytest.approx(2 * half, rel=0.08)
    assert narrow.high - narrow.low == pytest.approx(2 * 1.96 * problems.std() / 20, rel=0.08)


def test_a_constant_has_no_spread_and_metrics_share_resamples() -> None:
    values = np.random.default_rng(3).random(50)
    constant, first, negated = crossed_bootstrap(np.stack([np.full(50, 0.25), values, -values])[:, None, :])
    assert (constant.value, constant.low, constant.high) == pytest.approx((0.25, 0.25, 0.25))
    assert (first.low, first.high) == pytest.approx((-negated.high, -negated.low))


def test_estimates_read_as_percent() -> None:
    assert Estimate(0.512, 0.481, 0.543).percent() == "51.2 [48.1, 54.3]"
    assert Estimate(0.088, -0.062, 0.112).percent(signed=True) == "+8.8 [-6.2, +11.2]"


def test_bootstrap_is_seeded() -> None:
    values = np.random.default_rng(4).random(30)
    assert bootstrap(values, seed=1) == bootstrap(values, seed=1) != bootstrap(values, seed=2)
