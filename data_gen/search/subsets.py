"""Best-of-n' for every n' <= n from one pool of n independent paths: the mean over subsets, as pass@k is (arXiv
2107.03374)."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from math import comb

from data_gen.engines.base import stream_seed
from data_gen.errors import UserError
from data_gen.search.vote import Ballot, C, Elected, Rule, Same, elect

SUBSETS = 64
"""Subsets that are looked at where the mean over all has no closed form."""


def elect_among(cast: Sequence[Ballot[C]], dead: int, n: int, rule: Rule, same: Same, key: str) -> Elected[C]:
    """The vote of `n` of the pool's paths, of which `dead` more have no answer: one seeded subset's choice, all
    subsets' mean accuracy.

    The mean is exact for `argmax`; for the other rules it is that of `SUBSETS` random ones (all, where there are not
    more), which is unbiased, too. UserError where the pool is smaller than `n`.
    """
    size = dead + sum(ballot.copies for ballot in cast)
    if not 1 <= n <= size:
        raise UserError(
            f"n is {n}, but the pool of {key!r} holds {size} paths; expected 1 to {size}. Draw a larger pool."
        )
    found = [
        elect(some, rule, same, key)
        for some in itertools.islice(_subsets(cast, size, n, key), 1 if rule == "argmax" else None)
    ]
    if any(ballot.leaf.outcome is None for ballot in cast):
        return Elected(found[0].leaf, None)
    mean = _best_of(cast, size, n) if rule == "argmax" else sum(one.accuracy or 0.0 for one in found) / len(found)
    return Elected(found[0].leaf, mean)


def _best_of(cast: Sequence[Ballot[C]], size: int, n: int) -> float:
    """Sum over scores of P(this score is the best of the subset) * the share of right paths among those of this
    score."""
    accuracy, left = 0.0, size
    for _, level in itertools.groupby(sorted(cast, key=lambda b: -b.score), key=lambda b: b.score):
        equal = list(level)
        copies = sum(ballot.copies for ballot in equal)
        right = sum(ballot.copies * (ballot.leaf.outcome or 0.0) for ballot in equal) / copies
        accuracy += right * (comb(left, n) - comb(left - copies, n)) / comb(size, n)
        left -= copies
    return accuracy


def _subsets(cast: Sequence[Ballot[C]], size: int, n: int, key: str) -> Iterator[list[Ballot[C]]]:
    """Subsets as ballots; paths beyond the answered ones are dead and cast none."""
    owners = [ballot for ballot in cast for _ in range(ballot.copies)]
    if comb(size, n) <= SUBSETS:
        chosen: Iterator[Sequence[int]] = itertools.combinations(range(size), n)
    else:
        rng = random.Random(stream_seed(0, key, "subset", n))
        chosen = (rng.sample(range(size), n) for _ in range(SUBSETS))
    for indices in chosen:
        yield [Ballot(owners[i].leaf, 1, owners[i].score) for i in sorted(indices) if i < len(owners)]
