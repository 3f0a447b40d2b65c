"""Random choices of rows that come to a number of rows or of trained tokens."""

from __future__ import annotations

import random
from collections.abc import Sequence


def draw_tokens(tokens: Sequence[float], wanted: float, rng: random.Random) -> list[int]:
    """Indices of rows in random order whose `tokens` come to `wanted`, to within half of the last row's.

    Rows are indivisible, so the sum ends at one of the two that `wanted` lies between, the nearer one. All rows where
    together they have no more than that. Which rows come first does not depend on `wanted`: a smaller choice is a part
    of a larger one.

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
