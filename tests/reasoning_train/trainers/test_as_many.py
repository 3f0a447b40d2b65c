"""Random choices that come to a number of tokens."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from reasoning_train.trainers.data.as_many import draw_tokens

SIZES = st.lists(st.floats(0.5, 50), max_size=40)


@given(SIZES, st.floats(0, 2000), st.integers(0, 5))
def test_the_sum_is_the_nearest_of_its_order(sizes: list[float], wanted: float, seed: int) -> None:
    chosen = draw_tokens(sizes, wanted, random.Random(seed))
    total = sum(sizes[i] for i in chosen)
    assert len(set(chosen)) == len(chosen)
    if len(chosen) < len(sizes):
        assert abs(total - wanted) <= max(sizes) / 2 + 1e-9
    else:
        assert wanted >= sum(sizes) - max(sizes, default=0) / 2 - 1e-9


@given(SIZES, st.floats(0, 500), st.floats(0, 500), st.integers(0, 5))
def test_a_smaller_choice_is_a_part_of_a_larger_one(sizes: list[float], one: float, more: float, seed: int) -> None:
    small, large = (draw_tokens(sizes, wanted, random.Random(seed)) for wanted in (one, one + more))
    assert large[: len(small)] == small
