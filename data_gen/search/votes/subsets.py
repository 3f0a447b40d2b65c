"""Best-of-n' for every n' <= n from one pool of n independent paths: the mean over subsets, as in pass@k (arXiv
2107.03374)."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from math import comb

from data_gen.engines.base import stream_seed
from data_gen.errors import UserError
from data_gen.search.votes.base import Ballot, C, Elected, Same, Vote, elect

SUBSETS = 64
"""Number of random subsets if the mean over all has no closed form."""


def elect_among(cast: Sequence[Ballot[C]], dead: int, n: int, vote: Vote, same: Same, key: str) -> Elected[C]:
    """The vote over `n` paths of the pool, which holds `dead` further paths without an answer: the choice of one seeded
    subset, and the mean accuracy of all subsets.

    The mean is exact if the vote has a closed form (`argmax`). Otherwise it is the mean over `SUBSETS` random subsets
    (or all, if there are no more), which is unbiased, too. UserError if the pool is smaller than `n`.
    """
    size = dead + sum(ballot.copies for ballot in cast)
    if not 1 <= n <= size:
        raise UserError(
            f"n is {n}, but the pool of {key!r} holds {size} paths; expected 1 to {size}. Draw a larger pool."
        )
    mean = vote.expected_accuracy(cast, size, n)
    subsets = itertools.islice(_subsets(cast, size, n, key), None if mean is None else 1)
    found = [elect(some, vote, same, key) for some in subsets]
    if any(ballot.leaf.outcome is None for ballot in cast):
        return Elected(found[0].leaf, None)
    return Elected(found[0].leaf, sum(one.accuracy or 0.0 for one in found) / len(found) if mean is None else mean)


def _subsets(cast: Sequence[Ballot[C]], size: int, n: int, key: str) -> Iterator[list[Ballot[C]]]:
    """Subsets as ballots. Indices beyond the paths with answers are dead paths and cast none."""
    owners = [ballot for ballot in cast for _ in range(ballot.copies)]
    if comb(size, n) <= SUBSETS:
        chosen: Iterator[Sequence[int]] = itertools.combinations(range(size), n)
    else:
        rng = random.Random(stream_seed(0, key, "subset", n))
        chosen = (rng.sample(range(size), n) for _ in range(SUBSETS))
    for indices in chosen:
        yield [Ballot(owners[i].leaf, 1, owners[i].score) for i in sorted(indices) if i < len(owners)]
