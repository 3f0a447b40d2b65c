"""How alike two texts are: word 3-grams and their Jaccard similarity."""

from __future__ import annotations


def shingles(text: str) -> set[str]:
    """Word 3-grams of a text (the whole text where it is shorter).

    >>> sorted(shingles("a b c d"))
    ['a b c', 'b c d']
    """
    words = text.split()
    return {" ".join(words[i : i + 3]) for i in range(max(1, len(words) - 2))}


def jaccard(a: set[str], b: set[str]) -> float:
    """|a and b| / |a or b|; 1 for two empty sets."""
    return len(a & b) / len(a | b) if a | b else 1.0
