"""Random choices of rows whose sizes sum to a number of rows or of trained tokens."""

from __future__ import annotations

import random
from collections.abc import Sequence


def draw_tokens(tokens: Sequence[float], wanted: float, rng: random.Random) -> list[int]:
    """Indices of rows in random order whose `tokens` sum to `wanted`, to within half of the last row's.

    Rows are indivisible, so the sum is the nearer of the two possible sums around `wanted`. All rows are taken if their
    sum is no more than `wanted`. The order of rows does not depend on `wanted`, so a smaller choice is part of a larger
    one.

    >>> draw_tokens([5, 5, 5, 5], 11, random.Random(0))
    [2, 1]
    """
    total, chosen = 0.0, list[int]()
    for i in rng.sample(range(len(tokens)), len(tokens)):
        if total + tokens[i] - wanted > wanted - total:
            break
        total += tokens[i]
        chosen.append(i)
    return chosen
