"""Resampling: effective size, both schemes' counts and means, weights of any size."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.search.resample import Resample, effective, log_sum, multinomial, normalised, systematic

weights = st.lists(st.floats(0.001, 1), min_size=1, max_size=12)


def test_effective_size_by_hand() -> None:
    """Weights 3 : 1 are worth 16 / 10 paths; the size does not depend on a common factor, however large."""
    logs = [math.log(3), 0.0]
    assert effective(logs) == pytest.approx(1.6)
    assert effective([x + 5000 for x in logs]) == pytest.approx(1.6) == effective([x - 5000 for x in logs])
    assert effective([0.0] * 7) == pytest.approx(7) and effective([0.0, -math.inf]) == 1


def test_nothing_but_dead_paths_is_uniform_and_has_no_mass() -> None:
    assert normalised([-math.inf] * 4) == [0.25] * 4 and log_sum([-math.inf] * 4) == -math.inf == log_sum([])


def test_when_resampling_is_due() -> None:
    equal, skewed = [0.7] * 4, [math.log(3), 0.0, 0.0, 0.0]  # the latter worth 36 / 12 = 3 of 4
    assert not Resample().due(equal) and Resample().due(skewed)
    assert (
        Resample(ess=0.8).due(skewed)
        and not Resample(ess=0.7).due(skewed)
        and not Resample(ess=0).due([0.0, -math.inf])
    )


@given(weights, st.integers(1, 30), st.integers())
def test_systematic_counts_are_off_by_less_than_one(raw: list[float], n: int, seed: int) -> None:
    shares = [w / sum(raw) for w in raw]
    found = systematic(shares, n, random.Random(seed))
    assert len(found) == n and found == sorted(found)
    assert all(abs(found.count(i) - n * share) < 1 + 1e-9 for i, share in enumerate(shares))


@pytest.mark.parametrize("scheme", [systematic, multinomial])
def test_counts_are_right_on_average(scheme: object) -> None:
    """2,000 times 5 draws: every mean count within 4.5 standard deviations (of the multinomial) of 5 w."""
    shares, rng = [0.55, 0.3, 0.15, 0.0], random.Random(3)
    drawn = [scheme(shares, 5, rng) for _ in range(2000)]
    for i, share in enumerate(shares):
        mean = sum(found.count(i) for found in drawn) / 2000
        assert abs(mean - 5 * share) <= 4.5 * math.sqrt(5 * share * (1 - share) / 2000)


def test_systematic_draws_are_by_hand() -> None:
    class Fixed(random.Random):
        def random(self) -> float:
            return 0.4

    # Points .1, .35, .6, .85 against edges .2, .5, .5, 1.
    assert systematic([0.2, 0.3, 0.0, 0.5], 4, Fixed()) == [0, 1, 3, 3]
