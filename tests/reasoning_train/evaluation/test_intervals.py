"""Intervals against the normal approximation, the t interval by hand, and Wilson's formula."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasoning_train.evaluation.intervals import (
    Estimate,
    crossed_bootstrap,
    drawn_counts,
    interval,
    intervals,
    score_interval,
    wilson,
)
from reasoning_train.evaluation.names import SHARE, Bounds


def test_bootstrap_of_a_bernoulli_agrees_with_the_normal_approximation() -> None:
    values = np.array([1.0] * 420 + [0.0] * 580)
    estimate = interval(values)
    half = 1.96 * math.sqrt(0.42 * 0.58 / 1000)
    assert estimate.value == pytest.approx(0.42)
    assert estimate.low == pytest.approx(0.42 - half, abs=0.002)
    assert estimate.high == pytest.approx(0.42 + half, abs=0.002)


def test_one_seed_covers_the_true_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(60):
        estimate = interval(rng.random(80) < 0.4, resamples=1_000)
        hits += estimate.low <= 0.4 <= estimate.high
    assert hits >= 51  # binomial(60, 0.95) is below this once in a thousand


def test_one_seed_gives_the_bootstrap_over_problems() -> None:
    values = np.random.default_rng(1).random(200)
    [crossed] = crossed_bootstrap(values[None, None, :])
    plain = np.random.default_rng(0).choice(values, size=(10_000, 200)).mean(axis=1)
    assert crossed == interval(values)
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
    assert Estimate(81.24, 78.0, 84.4).plain() == "81.2 [78.0, 84.4]"


def test_the_bootstrap_is_seeded() -> None:
    values = np.random.default_rng(4).random((1, 1, 30))
    assert crossed_bootstrap(values, seed=1) == crossed_bootstrap(values, seed=1) != crossed_bootstrap(values, seed=2)


def test_seeds_that_dominate_have_the_t_interval() -> None:
    """Means 1, 2, 3, 4, 5 in tenths: sd sqrt(0.025), t(4) = 2.776."""
    values = np.repeat([[0.1], [0.2], [0.3], [0.4], [0.5]], 50, axis=1)
    half = 2.776 * math.sqrt(0.025) / math.sqrt(5)
    found = interval(values, SHARE)
    assert (found.value, found.low, found.high) == pytest.approx((0.3, 0.3 - half, 0.3 + half), abs=1e-3)


def test_no_interval_reaches_beyond_the_bounds() -> None:
    """Of five seeds four are at 100 % and one is at 90: mean 98, t interval 92.4 to 103.6."""
    values = np.ones((5, 50))
    values[0, :5] = 0.0
    assert interval(values).high == pytest.approx(0.98 + 2.776 * 0.1 / 5, abs=1e-4)
    assert interval(values, SHARE).high == 1.0


def test_problems_that_dominate_have_the_bootstrap() -> None:
    """The seeds agree on every problem, so the t interval is a point; it says nothing of other problems."""
    values = np.stack([np.random.default_rng(5).random(60)] * 5)
    [bootstrap] = crossed_bootstrap(values[None])
    assert interval(values) == bootstrap
    assert interval(values, SHARE).low == bootstrap.low  # the score interval hardly differs: its upper end is higher
    assert interval(values, SHARE).high == pytest.approx(bootstrap.high, abs=1e-3)


def test_metrics_that_share_the_resamples_have_the_intervals_that_they_have_alone() -> None:
    values = np.random.default_rng(6).random((3, 5, 40))
    together = intervals(values, [SHARE] * 3)
    for alone, found in zip(values, together, strict=True):
        one = interval(alone, SHARE)
        assert (found.value, found.low, found.high) == pytest.approx((one.value, one.low, one.high))


@pytest.mark.parametrize(
    ("value", "problems", "bounds", "low", "high"),
    [
        (1.0, 100, SHARE, 0.96300, 1.0),  # the published interval of 100 of 100 (z = 1.96): 96.3 to 100
        (0.0, 10, SHARE, 0.0, 0.27753),  # of 0 of 10: 0 to 27.8
        (0.0, 100, (-1.0, 1.0), -0.03700, 0.03700),
        (-1.0, 10, (-1.0, 1.0), -1.0, -1 + 2 * 0.27753),
    ],
)
def test_where_no_problem_differs_wilson_says_how_many_could(
    value: float, problems: int, bounds: Bounds, low: float, high: float
) -> None:
    found = wilson(value, problems, bounds)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)
    for seeds in (1, 5):  # more seeds on the same problems say nothing of other problems
        assert interval(np.full((seeds, problems), value), bounds) == found


@given(st.integers(1, 200), st.sampled_from([0.0, 1.0]))
def test_wilson_is_his_formula_at_both_ends(n: int, share: float) -> None:
    z = 1.959963984540054
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    found = wilson(share, n, SHARE)
    assert (found.low, found.high) == pytest.approx((centre - half, centre + half))


def test_what_has_no_bounds_and_no_spread_is_a_point() -> None:
    assert interval(np.full(20, 10.0)) == Estimate(10.0, 10.0, 10.0)


@given(st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_the_interval_of_several_seeds_is_the_wider_and_turns_with_the_sign(seeds: int, seed: int) -> None:
    values = np.random.default_rng(seed).random((1, seeds, 12))
    [found], [boot] = intervals(values, [None], resamples=200), crossed_bootstrap(values, resamples=200)
    [turned] = intervals(-values, [None], resamples=200)
    assert found.width >= boot.width - 1e-12
    assert found.low <= found.value <= found.high
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))


def binary(right: int, problems: int) -> np.ndarray:
    return np.arange(problems) < right


def by_his_formula(share: float, n: int) -> tuple[float, float]:
    """Wilson's interval of a share of n."""
    z = 1.959963984540054
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return centre - half, centre + half


@pytest.mark.parametrize("seeds", [1, 5])
@pytest.mark.parametrize("problems", [20, 100])
def test_an_accuracy_has_at_least_wilsons_interval_and_rises_with_every_right_answer(seeds: int, problems: int) -> None:
    """One error in a hundred is no more certain than none: 94.6 at least, where the bootstrap says 97."""
    outcomes = [np.tile(binary(right, problems), (seeds, 1)) for right in range(problems + 1)]
    found = [interval(one, SHARE, resamples=500) for one in outcomes]
    for right, one in enumerate(found):
        low, high = by_his_formula(right / problems, problems)
        assert one.low <= max(low, 0.0) + 1e-9 and one.high >= min(high, 1.0) - 1e-9
    for fewer, more in itertools.pairwise(found):
        assert fewer.low <= more.low + 1e-12 and fewer.high <= more.high + 1e-12
    assert found[-2].low < found[-1].low


def test_one_wrong_answer_under_one_of_five_seeds_is_no_more_certain_than_none() -> None:
    values = np.ones((5, 100))
    none = interval(values, SHARE)
    values[3, 7] = 0.0
    assert interval(values, SHARE).low < none.low


@pytest.mark.parametrize(
    ("gained", "lost", "low", "high"),
    [
        (0, 0, -0.0370, 0.0370),  # both arms right, or both wrong, on all of 100
        (1, 0, -0.0279, 0.0545),  # Newcombe: 0.01 - sqrt((0.01 - 0.00177)^2 + 0.0370^2), and Wilson's upper end of 1 %
        (1, 1, -0.0453, 0.0453),  # sqrt((0.0545 - 0.01)^2 + (0.01 - 0.00177)^2)
    ],
)
def test_a_difference_of_few_problems_has_newcombes_interval(gained: int, lost: int, low: float, high: float) -> None:
    values = np.array([1.0] * gained + [-1.0] * lost + [0.0] * (100 - gained - lost))
    found = score_interval(values, (-1.0, 1.0))
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)
    around = interval(values, (-1.0, 1.0))
    assert around.low <= found.low + 1e-9 and around.high >= found.high - 1e-9


@given(st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.25, 1.0]), min_size=2, max_size=40))
def test_a_score_interval_turns_with_the_sign_and_holds_what_unseen_problems_could_change(drawn: list[float]) -> None:
    values, bounds = np.array(drawn), (-1.0, 1.0)
    found, turned, unseen = (
        score_interval(values, bounds),
        score_interval(-values, bounds),
        wilson(float(values.mean()), len(values), bounds),
    )
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))
    assert found.low <= unseen.low and found.high >= unseen.high
    assert found.low <= found.value <= found.high


def test_a_value_beyond_its_bounds_counts_as_one_at_them() -> None:
    found = score_interval(np.array([1.5, 0.0, 0.0]), SHARE)
    assert 0 < found.width < 1 and found.low < found.value == 0.5 < found.high


def test_resamples_of_three_problems_have_the_multinomials_chances() -> None:
    """3! / (a! b! c!) / 27 for the counts (a, b, c): 1/27, 3/27 or 6/27."""
    drawn = drawn_counts(np.random.default_rng(0), 3, 27_000)
    found, times = np.unique(drawn, axis=0, return_counts=True)
    expected = [27_000 * 6 / math.prod(math.factorial(int(n)) for n in counts) / 27 for counts in found]
    assert len(found) == 10 and drawn.sum(axis=1).tolist() == [3] * 27_000
    assert sum((times - expected) ** 2 / expected) < 27.9  # chi-squared of 9 degrees, once in a thousand


@given(st.integers(1, 9), st.integers(0, 5), st.integers(0, 5))
def test_resamples_do_not_depend_on_how_many_are_drawn_at_a_time(problems: int, first: int, more: int) -> None:
    one, two = np.random.default_rng(1), np.random.default_rng(1)
    apart = np.concatenate([drawn_counts(one, problems, first), drawn_counts(one, problems, more)])
    assert np.array_equal(apart, drawn_counts(two, problems, first + more))
