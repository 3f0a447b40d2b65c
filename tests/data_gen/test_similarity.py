"""Similarity of texts, by hand."""

import pytest

from data_gen.similarity import jaccard, shingles


def test_shingles_and_jaccard_by_hand() -> None:
    assert shingles("a b  c d") == {"a b c", "b c d"}
    assert shingles("a b") == {"a b"}
    assert jaccard({"x", "y"}, {"y", "z"}) == pytest.approx(1 / 3)
    assert jaccard(set(), set()) == 1.0
