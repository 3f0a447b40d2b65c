"""Verdicts by hand, and how often chance alone brings one about."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from reasoning_train.evaluation.intervals import Estimate
from reasoning_train.evaluation.verdicts import Comparison, findings, joint, verdict
from tests.reasoning_train.evaluation.test_coverage import REGIMES, REPEATS, RESAMPLES, differences

ABOVE, BELOW, ACROSS = Estimate(0.03, 0.01, 0.05), Estimate(-0.03, -0.05, -0.01), Estimate(0.01, -0.01, 0.03)


@pytest.mark.parametrize(
    ("gain", "means", "found"),
    [
        (ABOVE, [0.1, 0.1, 0.1, 0.1, -0.1], "supported"),
        (ABOVE, [0.2, 0.2, 0.2, -0.1, -0.1], "not resolved"),
        (BELOW, [-0.1, -0.1, -0.1, -0.1, 0.1], "contradicted"),
        (BELOW, [-0.2, -0.2, -0.2, 0.1, 0.1], "not resolved"),  # the sign guards this direction, too
        (BELOW, [-0.2, -0.2, -0.2, -0.2, 0.0], "contradicted"),
        (ACROSS, [0.1] * 5, "not resolved"),
        (ABOVE, [0.1] * 4, "4 of 5 seeds, no verdict"),
        (ABOVE, [0.1] * 9 + [-0.1], "supported"),
        (ABOVE, [0.1] * 7 + [-0.1] * 3, "not resolved"),
    ],
)
def test_verdicts_need_the_interval_and_four_of_five_seeds(gain: Estimate, means: list[float], found: str) -> None:
    assert verdict(gain, means, 0.0, seeds_needed=5) == found


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        (["supported", "supported"], "supported"),
        (["supported", "not resolved"], "not resolved"),
        (["supported", "contradicted"], "contradicted"),
        (["not resolved", "not resolved"], "not resolved"),
        (["1 of 5 seeds, no verdict"] * 2, "1 of 5 seeds, no verdict"),
    ],
)
def test_all_parts_must_hold(parts: list[str], found: str) -> None:
    assert joint(parts) == found


def test_lower_values_turn_the_claim_and_not_the_numbers() -> None:
    values = np.random.default_rng(0).normal(-1, 0.1, (5, 40))
    up, down = findings([Comparison("a - b", "m", values), Comparison("a - b", "m", values, lower=True)], 5)
    assert (up.verdict, up.claim) == ("contradicted", "> 0")
    assert (down.verdict, down.claim) == ("supported", "< 0")
    assert up.estimate == down.estimate


@cache
def verdicts(regime: str, seeds: int) -> list[str]:
    """Of a claim whose true difference is 0, under that many seeds, all of which suffice."""
    made = [Comparison("a - b", "accuracy", values) for values in differences(regime, seeds)]
    return [one.verdict for one in findings(made, seeds_needed=seeds, resamples=RESAMPLES)]


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("direction", ["supported", "contradicted"])
def test_chance_seldom_brings_a_verdict_about(regime: str, seeds: int, direction: str) -> None:
    """At most 2.5 % in each direction, and the error of 1,000 repetitions (three standard deviations)."""
    assert verdicts(regime, seeds).count(direction) / REPEATS <= 0.04
