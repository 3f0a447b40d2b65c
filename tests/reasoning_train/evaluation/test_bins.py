"""Bins by difficulty and folds by group: nothing is divided that is equal, and the order of problems says nothing."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from reasoning_train.evaluation.bins import bin_of, edges, folds_of

VALUES = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=40)
NAMES = st.lists(st.text("abcdefgh", min_size=1, max_size=3), min_size=1, max_size=30)


def test_equal_counts_by_hand() -> None:
    """Ten distinct difficulties in five bins are two each; seven in three are 3, 2 and 2."""
    assert edges(map(float, range(10)), 5) == [1, 3, 5, 7]
    assert Counter(bin_of(x, edges(map(float, range(7)), 3)) for x in range(7)) == {0: 3, 1: 2, 2: 2}


def test_fewer_bins_where_difficulties_are_few() -> None:
    """Agreements of four samples in five bins: equal ones stay together, and one value makes one bin."""
    assert edges([-1.0, -1.0, -1.0, -0.5, -0.25], 5) == [-1.0, -0.5]
    assert edges([3.0] * 9, 5) == [] and edges([], 5) == [] and edges([1.0, 2.0], 1) == []


@given(values=VALUES, bins=st.integers(1, 8))
def test_bins_are_ordered_filled_and_never_divide_equals(values: list[float], bins: int) -> None:
    uppers = edges(values, bins)
    found = {value: bin_of(value, uppers) for value in values}
    assert set(found.values()) == set(range(len(uppers) + 1)) and len(uppers) < bins
    assert [found[value] for value in sorted(found)] == sorted(found.values())


@given(values=st.lists(st.floats(-1, 1), min_size=1, max_size=60, unique=True), bins=st.integers(1, 8))
def test_distinct_difficulties_fill_bins_evenly(values: list[float], bins: int) -> None:
    counts = Counter(bin_of(value, edges(values, bins)) for value in values)
    assert max(counts.values()) - min(counts.values()) <= 1 and len(counts) == min(bins, len(values))


@given(groups=NAMES, folds=st.integers(2, 4), seed=st.integers(0, 9))
def test_folds_are_even_and_know_no_order(groups: list[str], folds: int, seed: int) -> None:
    dealt = folds_of(groups, folds, seed)
    assert dealt == folds_of(reversed(groups), folds, seed) == folds_of(groups * 2, folds, seed)
    counts = Counter(dealt.values())
    assert max(counts.values()) - min(counts[f] for f in range(folds)) <= 1


def test_another_seed_deals_otherwise() -> None:
    groups = [f"g{i}" for i in range(40)]
    assert folds_of(groups, 2, 0) != folds_of(groups, 2, 1)
