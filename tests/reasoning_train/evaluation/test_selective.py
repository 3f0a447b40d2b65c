"""Risk and the area under the risk-coverage curve against their definitions, and their intervals."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasoning_train.evaluation.row_figures import areas
from reasoning_train.evaluation.selective import RowAnswers, selective_figures

NONE = float("nan")


def answers(*rows: tuple[float, float, float, float]) -> RowAnswers:
    return RowAnswers(*np.array(rows, dtype=float).T)


@given(st.lists(st.tuples(st.sampled_from([0.2, 0.5, 0.9]), st.booleans()), min_size=1, max_size=6))
def test_the_area_is_the_mean_risk_over_all_orders_of_ties(rows: list[tuple[float, bool]]) -> None:
    found = []
    for order in itertools.permutations(rows):
        if [sure for sure, _ in order] != sorted((sure for sure, _ in rows), reverse=True):
            continue
        risks = [sum(wrong for _, wrong in order[:k]) / k for k in range(1, len(rows) + 1)]
        found.append(sum(risks) / len(risks))
    confidence, wrong = np.array(rows, dtype=float).T
    [area] = areas(confidence, wrong, np.ones((1, len(rows))))
    assert area == pytest.approx(sum(found) / len(found))


@given(st.lists(st.tuples(st.sampled_from([0.2, 0.5]), st.booleans(), st.integers(0, 3)), min_size=1, max_size=5))
def test_a_problem_drawn_twice_counts_as_two(rows: list[tuple[float, bool, int]]) -> None:
    confidence, wrong, counts = np.array(rows, dtype=float).T
    [area] = areas(confidence, wrong, counts[None, :])
    times = counts.astype(int)
    if not times.sum():
        assert math.isnan(area)
        return
    [other] = areas(np.repeat(confidence, times), np.repeat(wrong, times), np.ones((1, times.sum())))
    assert area == pytest.approx(other)


def test_risk_is_a_ratio_over_the_answered() -> None:
    """Coverages 1, 1/2 and 0; of the 3/2 answers 1 + 1/4 are right."""
    row = answers((1, 1, NONE, NONE), (0.5, 0.25, NONE, NONE), (0, 0, NONE, NONE))
    [value, low, high] = selective_figures({"row": row})["row"]["risk"]
    assert value == pytest.approx(0.25 / 1.5) and 0 <= low < value < high <= 1
    assert set(selective_figures({"row": row})["row"]) == {"risk"}


def test_nothing_answered_has_no_figure() -> None:
    nothing = answers((0, 0, NONE, NONE), (0, 0, NONE, NONE))
    silent = answers((NONE, 1, NONE, NONE))
    assert selective_figures({"nothing": nothing}) == {"nothing": {}}
    assert selective_figures({"silent": silent}) == {"silent": {}} and selective_figures({}) == {}


def test_a_risk_that_never_showed_is_not_certain() -> None:
    """No error in ten answers: as for an accuracy of 100 % of ten problems, 28 % may be wrong."""
    row = answers(*[(1, 1, 0.9, 1)] * 10)
    figures = selective_figures({"row": row})["row"]
    for name in ("risk", "aurc"):
        assert figures[name][:2] == [0.0, 0.0] and figures[name][2] == pytest.approx(0.2775, abs=1e-3)


def test_the_interval_covers_the_risk() -> None:
    """A risk of 0.3 at a coverage of 0.6: 200 samples of 80 problems; about 95 % of the intervals hold it."""
    rng, hits = np.random.default_rng(0), 0
    for _ in range(200):
        covered = (rng.random(80) < 0.6).astype(float)
        right = covered * (rng.random(80) < 0.7)
        row = RowAnswers(covered, right, np.full(80, NONE), np.full(80, NONE))
        [_, low, high] = selective_figures({"row": row})["row"]["risk"]
        hits += low <= 0.3 <= high
    assert 180 <= hits <= 200
