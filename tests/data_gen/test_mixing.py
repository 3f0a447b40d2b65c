"""Sizes of mixtures and numbers that stay unique, by hand and for any sources."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from data_gen.mixing import Numbering, mixed_sizes


def test_sizes_by_hand() -> None:
    assert mixed_sizes([100, 30, 500], [2, 1, 1]) == [60, 30, 30]
    assert mixed_sizes([10, 10], [1, 1]) == [10, 10]
    assert mixed_sizes([10, 3], [0.1, 0.9]) == [0, 3]
    assert mixed_sizes([7, 0], [1, 1]) == [0, 0]


@given(st.lists(st.tuples(st.integers(0, 500), st.floats(0.01, 100)), min_size=1, max_size=5))
def test_a_mixture_has_its_shares_to_within_a_row_and_could_not_be_larger(sources: list[tuple[int, float]]) -> None:
    sizes, shares = zip(*sources, strict=True)
    found = mixed_sizes(sizes, shares)
    assert all(0 <= n <= size for n, size in zip(found, sizes, strict=True))
    scale = min(Fraction(size) / Fraction(share) for size, share in sources)
    assert all(scale * Fraction(share) - 1 < n for n, share in zip(found, shares, strict=True))
    assert any(n == size for n, size in zip(found, sizes, strict=True))


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from("pq"), st.integers(-1, 4))))
def test_numbers_are_unique_within_a_problem_and_the_same_thing_keeps_its_number(
    asked: list[tuple[int, str, int]],
) -> None:
    asked.sort(key=lambda one: one[0])
    numbers = Numbering()
    given_ = {one: numbers.of(*one) for one in asked}
    assert given_ == {one: numbers.of(*one) for one in asked}
    for problem in "pq":
        found = [number for (_, name, _), number in given_.items() if name == problem]
        assert len(found) == len(set(found))
    assert all(given_[one] == one[2] for one in asked if one[0] == min(s for s, p, _ in asked if p == one[1]))
