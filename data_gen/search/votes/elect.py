"""One vote: the seeded choice, and how likely it is right."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from data_gen.engines.base import stream_seed
from data_gen.search.votes.arrays import Roll, decided
from data_gen.search.votes.base import Ballot, C, ClassOf, Elected, Vote

if TYPE_CHECKING:
    import numpy as np


def elect(cast: Sequence[Ballot[C]], vote: Vote, class_of: ClassOf, key: str) -> Elected[C]:
    """The choice among `cast`. `key` (e.g. the problem's id) seeds the rule's random choices."""
    import numpy as np

    return chosen(vote, Roll(cast, class_of), np.array([[ballot.copies for ballot in cast]], dtype=float), key)


def chosen(vote: Vote, roll: Roll, copies: np.ndarray, key: str) -> Elected[Any]:
    """The choice where `copies` [1, B] of the ballots take part."""
    found = decided(vote, roll, copies)
    chances = found.of(roll, 0)
    if not chances:
        unknown = any(ballot.leaf.outcome is None for ballot, n in zip(roll.cast, copies[0], strict=True) if n)
        return Elected(None, None if unknown and vote.abstains else 0.0, float(vote.abstains))
    rng = random.Random(stream_seed(0, key, "vote", vote.uses))
    [leaf] = rng.choices([leaf for leaf, _ in chances], [chance for _, chance in chances])
    sure = {"share": found.share, "score": found.chances @ roll.scores, None: None}[vote.confidence]
    confidence = None if sure is None else float(sure[0])
    if any(leaf.outcome is None for leaf, _ in chances):
        return Elected(leaf, None, confidence=confidence)
    return Elected(leaf, sum(chance * (leaf.outcome or 0.0) for leaf, chance in chances), confidence=confidence)
