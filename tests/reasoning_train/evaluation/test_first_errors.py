"""First-error figures: hand-computed ones, thresholds against trying them all, intervals."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasoning_train.evaluation.first_errors import (
    Hit,
    best_threshold,
    figures_of,
    harmonic,
    predicted,
)


def hits(wrong: str, right: str) -> list[Hit]:
    """`+` found, `-` not; a problem each."""
    pairs = [(True, mark) for mark in wrong] + [(False, mark) for mark in right]
    return [Hit(f"p{i}", is_wrong, mark == "+") for i, (is_wrong, mark) in enumerate(pairs)]


def f1_at(solutions: list[tuple[list[float], int]], threshold: float) -> float:
    """By definition."""
    kinds: dict[bool, list[bool]] = {True: [], False: []}
    for scores, first in solutions:
        kinds[first < len(scores)].append(predicted(scores, threshold) == first)
    return harmonic(*(sum(found) / len(found) for found in kinds.values()))


def test_figures_by_hand() -> None:
    """2 of 8 errors and 3 of 4 clean solutions: F1 = 2 x 0.25 x 0.75 / 1."""
    found = figures_of(hits("++------", "+++-"))
    assert found.on_wrong and found.on_right and found.f1
    assert (found.on_wrong.value, found.on_right.value, found.f1.value) == (0.25, 0.75, 0.375)
    assert (found.wrong, found.right) == (8, 4)
    for one in (found.on_wrong, found.on_right, found.f1):
        assert 0 <= one.low < one.value < one.high <= 1


def test_a_figure_is_none_where_nothing_is_measured() -> None:
    only_wrong, only_right = figures_of(hits("+-", "")), figures_of(hits("", "+-"))
    assert only_wrong.on_right is None and only_wrong.f1 is None and only_wrong.on_wrong
    assert only_right.on_wrong is None and only_right.f1 is None and only_right.on_right


def test_no_figure_is_certain() -> None:
    """None of ten missed and none of ten found: unseen solutions may differ."""
    best, worst = figures_of(hits("+" * 10, "+" * 10)), figures_of(hits("-" * 10, "+" * 10))
    assert best.f1 and worst.f1 and best.on_wrong
    assert best.f1.value == 1 == best.f1.high and best.f1.low == pytest.approx(1 - 3.8415 / 13.8415, abs=1e-3)
    assert worst.f1.value == 0 == worst.f1.low and worst.f1.high > 0.2
    assert best.on_wrong.low == best.f1.low


def test_solutions_of_one_problem_are_one_observation() -> None:
    """Shares are over solutions, so the problem with four counts four times; copies make no interval narrower."""
    once = hits("+-" * 10, "+-" * 10)
    copies = [hit for hit in once for _ in range(4)]
    alone, together = figures_of(once), figures_of(copies)
    assert alone.f1 and together.f1 and alone.f1.value == together.f1.value == 0.5
    assert together.f1.width == pytest.approx(alone.f1.width, rel=0.02)
    uneven = [Hit("a", True, True)] * 4 + [Hit("b", True, False), Hit("c", False, True)]
    found = figures_of(uneven)
    assert found.on_wrong and found.on_wrong.value == 0.8


@pytest.mark.parametrize(("on_wrong", "on_right"), [(0.3, 0.9), (0.95, 0.95), (0.02, 0.98)])
def test_intervals_of_f1_cover(on_wrong: float, on_right: float) -> None:
    """Over every number of found ones that is at all likely, weighted by its probability."""
    n, truth, covered = 20, harmonic(on_wrong, on_right), 0.0
    chances = [[math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)] for p in (on_wrong, on_right)]
    for k, j in itertools.product(range(n + 1), repeat=2):
        if (chance := chances[0][k] * chances[1][j]) > 1e-3:
            f1 = figures_of(hits("+" * k + "-" * (n - k), "+" * j + "-" * (n - j))).f1
            covered += chance * (f1 is not None and f1.low <= truth <= f1.high)
    assert covered >= 0.93


SOLUTIONS = st.lists(st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0]), min_size=1, max_size=5), min_size=2)


@given(rows=SOLUTIONS, data=st.data())
def test_the_best_threshold_is_the_best_of_all(rows: list[list[float]], data: st.DataObject) -> None:
    first = [data.draw(st.integers(0, len(scores))) for scores in rows]
    first[0], first[1] = 0, len(rows[1])  # one of each kind
    solutions = list(zip(rows, first, strict=True))
    edges = sorted({score for scores in rows for score in scores})
    tried = [-1.0, *edges, *((a + b) / 2 for a, b in itertools.pairwise(edges)), 2.0]
    chosen = best_threshold(solutions)
    assert f1_at(solutions, chosen) == pytest.approx(max(f1_at(solutions, one) for one in tried))


def test_thresholds_part_neighbouring_numbers() -> None:
    """No number lies between the two scores, and the greatest score may be the wrong step's."""
    a = 0.3
    b = math.nextafter(a, 1)
    assert best_threshold([([a], 0), ([b], 1)]) == b
    assert f1_at([([a], 0), ([b], 1)], b) == 1.0
    assert best_threshold([([0.2, 0.9], 1), ([0.4, 0.9, 0.9], 3), ([0.9, 0.1], 1)]) == pytest.approx(0.25)


def test_exact_scores_are_parted_in_the_middle() -> None:
    assert best_threshold([([1.0, 0.0, 0.0], 1), ([1.0, 1.0], 2)]) == 0.5
