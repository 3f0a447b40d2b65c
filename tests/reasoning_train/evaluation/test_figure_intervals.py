"""Intervals of figures of whole rows: against all resamples, against intervals of means, and what they cover."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from reasoning_train.evaluation.figure_intervals import DrawnFigure, resampled, weighted
from reasoning_train.evaluation.intervals import LEVEL, Estimate, crossed_bootstrap, interval
from reasoning_train.evaluation.names import SHARE
from reasoning_train.evaluation.row_figures import RatioOfSums

RATIO = RatioOfSums(("hits", "either"))
BOTH = (-1.0, 1.0)
REPEATS, PROBLEMS, RESAMPLES = 300, 200, 400
DIFFERENCE = {"a": 1.0, "b": -1.0}


def paired(a: np.ndarray, b: np.ndarray, resamples: int = RESAMPLES) -> DrawnFigure:
    """Difference of two rows. a, b: [C, S, P]."""
    return weighted(resampled(RATIO, {"a": a, "b": b}, resamples=resamples), DIFFERENCE)


def test_the_resamples_are_those_of_seeds_and_problems_by_enumeration() -> None:
    """Two seeds and three problems: 2^2 x 3^3 equally likely resamples, every one with its own ratio for each seed. The
    share below every value agrees with that of the drawn ones."""
    a = np.array([[[1, 0, 2], [0, 0, 1]], [[1, 2, 2], [1, 2, 2]]], dtype=float)
    b = np.array([[[0, 1, 1], [1, 1, 0]], [[1, 1, 2], [2, 1, 1]]], dtype=float)
    exact = []
    for seeds, problems in itertools.product(
        itertools.product(range(2), repeat=2), itertools.product(range(3), repeat=3)
    ):
        some = list(problems)
        gaps = [np.subtract(*(x[0, s, some].sum() / x[1, s, some].sum() for x in (a, b))) for s in seeds]
        exact.append(sum(gaps) / 2)
    found = paired(a, b, resamples=20_000)
    drawn = (found.drawn * found.over_seeds).sum(axis=1) / 2
    for value in sorted({round(gap, 6) for gap in exact}):
        share = np.mean([gap <= value + 1e-6 for gap in exact])
        assert np.mean(drawn <= value + 1e-6) == pytest.approx(share, abs=0.012)
    assert found.values == pytest.approx([3 / 5 - 2 / 4, 1 / 5 - 2 / 4])


def test_a_ratio_over_ones_is_a_mean_with_its_interval() -> None:
    rng = np.random.default_rng(0)
    values = (rng.random((5, 60)) < 0.6).astype(float)
    figure = resampled(RATIO, {"a": np.stack([values, np.ones_like(values)])}, resamples=RESAMPLES)["a"]
    [mean] = crossed_bootstrap(values[None], resamples=RESAMPLES)
    drawn = (figure.drawn * figure.over_seeds).sum(axis=1) / 5
    assert figure.values == pytest.approx(values.mean(axis=1))
    assert tuple(np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])) == pytest.approx((mean.low, mean.high))
    whole = interval(values, None, resamples=RESAMPLES)
    assert figure.pooled(None).numbers == pytest.approx(whole.numbers)
    assert len(figure.by_seed(SHARE)) == 5


def test_rows_are_paired_by_problem_and_equal_ones_differ_by_nothing() -> None:
    rng = np.random.default_rng(1)
    rows = np.stack([rng.random((3, 40)), 1 + rng.random((3, 40))])
    same = paired(rows, rows)
    assert not same.drawn.any() and same.pooled(None) == Estimate(0.0, 0.0, 0.0)
    near = paired(rows, rows * np.array([1.01, 1.0])[:, None, None]).pooled(None)
    alone = resampled(RATIO, {"a": rows}, resamples=RESAMPLES)["a"].pooled(None)
    assert near.width < alone.width / 20


def test_resamples_without_the_figure_do_not_count() -> None:
    """One of three problems is in the denominator: in (2/3)^3 of the resamples nothing is."""
    one = resampled(RATIO, {"a": np.array([[[1.0, 0, 0]], [[1.0, 0, 0]]])}, resamples=4_000)["a"]
    assert np.isnan(one.drawn).mean() == pytest.approx((2 / 3) ** 3, abs=0.03)
    assert (one.pooled(SHARE).value, one.pooled(SHARE).high, one.counted) == (1.0, 1.0, 1)
    assert one.pooled(SHARE).low == pytest.approx(1 - 3.8415 / 4.8415, abs=1e-3)
    never = DrawnFigure(np.array([0.5]), np.full((4, 1), math.nan), np.ones((4, 1)), 1)
    assert never.pooled(None) == Estimate(0.5, 0.5, 0.5) and never.pooled(SHARE).width > 0.7


def f1_columns(rng: np.random.Generator, gold: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Hits, and the half sum of said and gold, of labels said with these chances: [2, S, P]."""
    said = (rng.random(chance.shape) < chance).astype(float)
    return np.stack([gold * said, (gold + said) / 2])


def differences(pairs: list[tuple[np.ndarray, np.ndarray]]) -> list[Estimate]:
    """The estimate for every repetition. All share the resamples."""
    rows = {f"{arm}{i}": values for i, pair in enumerate(pairs) for arm, values in zip("ab", pair, strict=True)}
    found = resampled(RATIO, rows, resamples=RESAMPLES)
    return [weighted(found, {f"a{i}": 1.0, f"b{i}": -1.0}).pooled(BOTH) for i in range(len(pairs))]


def labellers(found: float, alarm: float, share: float, seeds: int, own: float, by_seed: float) -> list[Estimate]:
    """Differences of two labellers' F1, whose true value is 0. `own`: how much problems differ. `by_seed`: standard
    deviation of what a seed adds to one labeller."""
    rng, pairs = np.random.default_rng(0), []
    for _ in range(REPEATS):
        gold = (rng.random(PROBLEMS) < share).astype(float)
        ease = own * (rng.beta(1.5, 1.5, PROBLEMS) - 0.5)
        hits = np.clip(found + ease + rng.normal(0, by_seed, (2, seeds, 1)), 0, 1)
        one, other = (f1_columns(rng, gold, np.where(gold == 1, hit, alarm)) for hit in hits)
        pairs.append((one, other))
    return differences(pairs)


@pytest.mark.parametrize(
    ("found", "alarm", "share", "seeds", "own", "by_seed"),
    [
        (0.6, 0.2, 0.3, 1, 0.8, 0.0),
        (0.6, 0.05, 0.05, 1, 0.0, 0.0),
        (0.98, 0.01, 0.3, 1, 0.0, 0.0),
        (0.6, 0.2, 0.3, 5, 0.8, 0.0),
        (0.6, 0.2, 0.3, 5, 0.0, 0.1),
    ],
    ids=["usual", "rare label", "near 1", "five seeds", "seeds dominate"],
)
def test_the_intervals_of_differences_of_f1_cover(
    found: float, alarm: float, share: float, seeds: int, own: float, by_seed: float
) -> None:
    estimates = labellers(found, alarm, share, seeds, own, by_seed)
    assert np.mean([e.low <= 0 <= e.high for e in estimates]) >= 0.93


@pytest.mark.parametrize(("gained", "lost"), [(0.0, 0.0), (0.01, 0.0), (0.01, 0.01), (0.03, 0.01)])
def test_the_intervals_cover_where_nearly_all_problems_agree(gained: float, lost: float) -> None:
    """Recalls over 100 problems with the label and 100 without."""
    rng, pairs = np.random.default_rng(0), []
    counts = rng.multinomial(100, [gained, lost, 1 - gained - lost], size=REPEATS)
    gold = np.repeat([1.0, 0.0], 100)
    for more, less, _ in counts:
        right = np.repeat([1.0, 0.0, 1.0, 0.0], [50, 50, 0, 100])
        other = right.copy()
        other[50 : 50 + more], other[:less] = 1.0, 0.0
        pairs.append((np.stack([other, gold])[:, None], np.stack([right, gold])[:, None]))
    estimates = differences(pairs)
    assert np.mean([e.low <= gained - lost <= e.high for e in estimates]) >= 0.93
