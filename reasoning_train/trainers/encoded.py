"""What encoding hands to training."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from reasoning_train.packing.rows import Row

LOST = ("too_long", "cut_by_length_limit")
"""Reasons that `max_dropped` limits; rows left out for others (weight 0, no target) were not meant to be trained on."""


@dataclass(slots=True)
class Encoded:
    """`Encoded(rows=[...], dropped=Counter(too_long=2))`: none is truncated, what is left out is counted."""

    rows: list[Row] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    """By reason: `too_long` over the limit; `cut_by_length_limit` when it was sampled, so that it has no end to learn; `weight_0`: wrong
    solutions that nobody should imitate; `no_target` where the head is read."""

    def __add__(self, other: Encoded) -> Encoded:
        """Both, one after the other."""
        return Encoded(self.rows + other.rows, self.dropped + other.dropped)
