"""Best-of-n' for every n' <= n from one pool of n independent paths: the mean over subsets, as in pass@k (arXiv
2107.03374)."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from math import comb

from data_gen.engines.base import stream_seed
from data_gen.errors import UserError
from data_gen.search.votes.base import Ballot, C, ClassOf, Elected, Vote, elect

ALL_SUBSETS = 1_000
"""Most subsets that are all looked at, if the mean over them has no closed form."""
SUBSETS = 64
"""Number of random subsets if there are more."""


def elect_among(cast: Sequence[Ballot[C]], dead: int, n: int, vote: Vote, class_of: ClassOf, key: str) -> Elected[C]:
    """The vote over `n` paths of the pool, which holds `dead` further paths without an answer: the choice of one seeded
    subset, and the mean accuracy of all subsets.

    The mean is exact if the vote has a closed form (`argmax`) or there are at most `ALL_SUBSETS`. Otherwise it is the
    mean over `SUBSETS` random ones, which is unbiased, too. UserError if the pool is smaller than `n`.
    """
    size = dead + sum(ballot.copies for ballot in cast)
    if not 1 <= n <= size:
        raise UserError(
            f"n is {n}, but the pool of {key!r} holds {size} paths; expected 1 to {size}. Draw a larger pool."
        )
    shown = elect(_ballots(cast, next(_drawn(size, n, key))), vote, class_of, key)
    if any(ballot.leaf.outcome is None for ballot in cast):
        return Elected(shown.leaf, None)
    mean = vote.expected_accuracy(cast, size, n)
    if mean is None:
        few = comb(size, n) <= ALL_SUBSETS
        subsets = itertools.combinations(range(size), n) if few else itertools.islice(_drawn(size, n, key), SUBSETS)
        found = [elect(_ballots(cast, chosen), vote, class_of, key).accuracy for chosen in subsets]
        known = [accuracy for accuracy in found if accuracy is not None]
        assert len(known) == len(found), "every ballot has an outcome"
        mean = sum(known) / len(known)
    return Elected(shown.leaf, mean)


def _drawn(size: int, n: int, key: str) -> Iterator[Sequence[int]]:
    """Random subsets of `n` indices without end."""
    rng = random.Random(stream_seed(0, key, "subset", n))
    while True:
        yield rng.sample(range(size), n)


def _ballots(cast: Sequence[Ballot[C]], chosen: Sequence[int]) -> list[Ballot[C]]:
    """A subset as ballots. Indices beyond the paths with answers are dead paths and cast none."""
    owners = [ballot for ballot in cast for _ in range(ballot.copies)]
    return [Ballot(owners[i].leaf, 1, owners[i].score) for i in sorted(chosen) if i < len(owners)]
