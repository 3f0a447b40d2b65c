"""How alike two texts are: word 3-grams and their Jaccard similarity."""

from __future__ import annotations


def shingles(text: str) -> set[str]:
    """Word 3-grams of a text. A shorter text is one gram.

    >>> sorted(shingles("a b c d"))
    ['a b c', 'b c d']
    """
    words = text.split()
    return {" ".join(words[i : i + 3]) for i in range(max(1, len(words) - 2))}


def jaccard(a: set[str], b: set[str]) -> float:
    """|a and b| / |a or b|; 1 for two empty sets."""
    return len(a & b) / len(a | b) if a | b else 1.0


def edit_distance(a: str, b: str, most: int) -> int:
    """Insertions, deletions and substitutions from one text to the other, at most `most`, in O(most * length).

    >>> edit_distance("17 - 3 = 14", "17 - 3 = 15", most=20), edit_distance("abc", "xyz", most=2)
    (1, 2)
    """
    if abs(len(a) - len(b)) >= most:
        return most
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        low, high = max(1, i - most), min(len(b), i + most)  # cells further from the diagonal are at least `most`
        above, row = row, [most] * (len(b) + 1)
        row[0] = min(i, most)
        for j in range(low, high + 1):
            row[j] = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (x != b[j - 1]))
        if min(row) >= most:
            return most
    return min(row[-1], most)
