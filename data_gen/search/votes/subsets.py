"""Best-of-n' for every n' <= n from one pool of n independent paths: the mean over subsets, as in pass@k (arXiv
2107.03374)."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from math import comb
from typing import TYPE_CHECKING

from data_gen.engines.base import stream_seed
from data_gen.errors import UserError
from data_gen.search.votes.arrays import Roll, decided
from data_gen.search.votes.base import Ballot, C, ClassOf, Elected, Vote
from data_gen.search.votes.elect import chosen

if TYPE_CHECKING:
    import numpy as np

ALL_SUBSETS = 1_000
"""Most subsets that are all looked at, if the mean over them has no closed form."""
SUBSETS = 64
"""Number of random subsets if there are more."""


def elect_among(cast: Sequence[Ballot[C]], dead: int, n: int, vote: Vote, class_of: ClassOf, key: str) -> Elected[C]:
    """The vote over `n` paths of the pool, which holds `dead` further paths without an answer: the choice of one seeded
    subset, and the means over all subsets.

    They are exact if the vote has a closed form (`argmax`, `first_accepted`) or there are at most `ALL_SUBSETS`.
    Otherwise they are means over `SUBSETS` random ones, which are unbiased, too. UserError if the pool is smaller than
    `n`.
    """
    size = dead + sum(ballot.copies for ballot in cast)
    if not 1 <= n <= size:
        raise UserError(
            f"n is {n}, but the pool of {key!r} holds {size} paths; expected 1 to {size}. Draw a larger pool."
        )
    roll = Roll(cast, class_of)
    shown = chosen(vote, roll, _copies(cast, _shown(size, n, key)), key)
    if any(ballot.leaf.outcome is None for ballot in cast):
        return replace(shown, accuracy=None)
    means = vote.expected(cast, size, n)
    if means is None:
        subsets = _every(size, n) if comb(size, n) <= ALL_SUBSETS else _some(size, n, key)
        chances = decided(vote, roll, _copies(cast, subsets)).chances
        means = float((chances @ roll.right).mean()), float(1 - chances.any(axis=1).mean()) if vote.abstains else 0.0
    return replace(shown, accuracy=means[0], abstained=means[1])


@functools.lru_cache(maxsize=64)
def _every(size: int, n: int) -> np.ndarray:
    """All subsets of `n` of `size` paths: a row of flags each."""
    return _flags(itertools.combinations(range(size), n), size)


@functools.lru_cache(maxsize=1024)
def _some(size: int, n: int, key: str) -> np.ndarray:
    """Random subsets. All votes over one pool share them."""
    return _flags(itertools.islice(_drawn(size, n, key), SUBSETS), size)


@functools.lru_cache(maxsize=1024)
def _shown(size: int, n: int, key: str) -> np.ndarray:
    """The first random subset."""
    return _flags(itertools.islice(_drawn(size, n, key), 1), size)


def _drawn(size: int, n: int, key: str) -> Iterator[Sequence[int]]:
    """Random subsets of `n` indices without end."""
    rng = random.Random(stream_seed(0, key, "subset", n))
    while True:
        yield rng.sample(range(size), n)


def _flags(subsets: Iterable[Sequence[int]], size: int) -> np.ndarray:
    import numpy as np

    chosen = np.array(list(subsets), dtype=np.intp)
    flags = np.zeros((len(chosen), size), dtype=bool)
    np.put_along_axis(flags, chosen, True, axis=1)
    return flags


def _copies(cast: Sequence[Ballot[C]], subsets: np.ndarray) -> np.ndarray:
    """How many copies of each ballot are in each subset: [R, B]. The last paths have no answer and cast none."""
    import numpy as np

    copies = [ballot.copies for ballot in cast]
    if not copies:
        return np.zeros((len(subsets), 0))
    return np.add.reduceat(subsets[:, : sum(copies)].astype(float), np.cumsum([0, *copies[:-1]]), axis=1)
