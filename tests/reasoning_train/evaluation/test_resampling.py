"""Drawing until a verifier accepts: the closed form against every sequence of draws, and the best number under a
price."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasoning_train.evaluation.resampling import Draws, best_draws, within

CHANCES = st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)).map(
    lambda three: (three[0] / (sum(three) or 1), three[1] / (sum(three) or 1))
)
"""Chances to be accepted and right, and accepted and wrong; the rest is rejected."""


def enumerated(right: float, wrong: float, n: int) -> tuple[float, float, float]:
    """(P(right accepted), P(wrong accepted), mean draws) over all sequences of n outcomes."""
    chance = {"right": right, "wrong": wrong, "rejected": 1 - right - wrong}
    good = bad = draws = 0.0
    for sequence in itertools.product(chance, repeat=n):
        p = float(np.prod([chance[one] for one in sequence]))
        first = next((i for i, one in enumerate(sequence) if one != "rejected"), None)
        good += p * (first is not None and sequence[first] == "right")
        bad += p * (first is not None and sequence[first] == "wrong")
        draws += p * (n if first is None else first + 1)
    return good, bad, draws


@given(CHANCES, st.integers(1, 6))
def test_the_closed_form_is_the_mean_over_all_sequences(chances: tuple[float, float], n: int) -> None:
    right, wrong = chances
    good, bad, draws = enumerated(right, wrong, n)
    found = within(right, wrong, n)
    assert (found.accuracy, found.coverage - found.accuracy, found.draws) == pytest.approx((good, bad, draws), abs=1e-9)
    one = Draws(np.array([right]), np.array([wrong]))
    for price in (0.0, 1.0, 3.0):
        assert one.worth(price, np.array([n]))[0, 0] == pytest.approx(good - price * bad, abs=1e-9)


def test_an_attempt_is_not_weighted_twice_by_the_chance_to_get_there() -> None:
    """Attempt k is worth (right - price * wrong) * rejected^(k-1). The notebook's value is that of a mixture of tasks,
    averaged by who is left, and then multiplied by the share that is left once more."""
    right, wrong, price, n = np.array([0.6, 0.1]), np.array([0.1, 0.3]), 1.0, 10
    left = [(1 - right - wrong) ** k for k in range(n)]
    once = sum(((right - price * wrong) * alive).mean() for alive in left)
    twice = sum(((right - price * wrong) * alive).mean() * alive.mean() for alive in left)
    assert Draws(right, wrong).worth(price, np.array([n])).mean() == pytest.approx(once)
    assert abs(once - twice) > 1e-3


def test_the_plateau_is_the_share_of_right_among_the_accepted() -> None:
    draws = Draws(np.array([0.3, 0.0, 0.2]), np.array([0.1, 0.0, 0.0]))
    assert draws.plateau.tolist() == pytest.approx([0.75, 0.0, 1.0])
    assert draws.worth(0.0, np.array([2_000]))[:, 0].tolist() == pytest.approx([0.75, 0.0, 1.0])


def test_the_best_number_lies_between_where_problems_differ() -> None:
    """An easy problem (worth rises) and a hard one (falls): by hand 0.8 (1 - 0.2^n) - 0.5 (1 - 0.9^n) over the two
    grows from draw 1 to 2 by (0.8 * 0.16 - 0.5 * 0.09) / 2 and from 2 to 3 by (0.8 * 0.032 - 0.5 * 0.081) / 2 < 0."""
    draws = Draws(np.array([0.8, 0.025]), np.array([0.0, 0.075]))
    best = best_draws(draws, 1.0, 50)
    assert best.n == 2 and not best.beyond
    assert best.worth.value == pytest.approx((0.96 - 0.5 * 0.19) / 2)
    assert best.endless == pytest.approx((1.0 - 0.5) / 2)
    assert best.span[0] <= 2 <= best.span[1]


@pytest.mark.parametrize(
    ("right", "wrong", "price", "n", "beyond"),
    [
        (0.1, 0.2, 1.0, 0, False),  # every draw loses: better no answer
        (0.1, 0.2, 0.4, 30, True),  # every draw gains, and so would more
        (1.0, 0.0, 9.0, 1, False),  # the first is accepted
        (0.0, 0.0, 1.0, 0, False),  # nothing is ever accepted
    ],
)
def test_best_numbers_at_the_ends(right: float, wrong: float, price: float, n: int, beyond: bool) -> None:
    best = best_draws(Draws(np.full(3, right), np.full(3, wrong)), price, 30)
    assert (best.n, best.span, best.beyond) == (n, (n, n), beyond)


@given(st.lists(CHANCES, min_size=1, max_size=6), st.floats(0, 4))
def test_the_best_number_is_the_best_of_all(problems: list[tuple[float, float]], price: float) -> None:
    draws = Draws(*np.array(problems).T)
    best = best_draws(draws, price, 12)
    worths = [draws.worth(price, np.array([n])).mean() for n in range(13)]
    assert worths[best.n] == pytest.approx(max(worths), abs=1e-9)
    assert best.span[0] <= best.n <= best.span[1]


@given(st.lists(CHANCES, min_size=2, max_size=4))
def test_a_higher_price_never_pays_for_more_draws_on_one_kind_of_problem(problems: list[tuple[float, float]]) -> None:
    """On a single problem the best number is 0 or all, and falls with the price."""
    for right, wrong in problems:
        one = Draws(np.array([right]), np.array([wrong]))
        numbers = [best_draws(one, price, 5).n for price in (0.0, 1.0, 10.0)]
        assert numbers == sorted(numbers, reverse=True)
