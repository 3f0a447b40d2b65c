"""What encoding hands to training, and the gates that every trainer puts before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reasoning_train.packing.rows import Row
from reasoning_train.stage_api import gate

if TYPE_CHECKING:
    from reasoning_train.stage_api import Context
    from reasoning_train.trainers.setup import Training

CHECKED_ROWS = 64
"""How many rows are decoded to check that they come from this tokenizer."""
LOST = ("too_long", "cut_by_length_limit")
"""Reasons that `max_dropped` limits; rows left out for others (weight 0, no target) were not meant to be trained on."""


@dataclass(slots=True)
class Encoded:
    """`Encoded(rows=[...], dropped=Counter(too_long=2))`: none is truncated, what is left out is counted."""

    rows: list[Row] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    """By reason: `too_long` over the limit; `cut_by_length_limit` when it was sampled, so that it has no end to learn; `weight_0`: wrong
    solutions that nobody should imitate; `no_target` where the head is read."""


def admit(name: str, encoded: Encoded, config: Training, ctx: Context, limit: int) -> list[Row]:
    """Count and describe the rows; GateError where they are too few or too many were lost."""
    kept, dropped = len(encoded.rows), encoded.dropped
    lost, total = sum(dropped[reason] for reason in LOST), len(encoded.rows) + sum(dropped.values())
    ctx.count("in", total)
    ctx.count("out", kept)
    for reason, n in dropped.items():
        ctx.count(f"dropped.{reason}", n)
    lengths = sorted(len(trace) for row in encoded.rows for trace in row.traces) or [0]
    ctx.metric("length_quantiles", {f"p{q}": lengths[min(len(lengths) - 1, q * len(lengths) // 100)] for q in (50, 90, 99, 100)})
    why = _why(dropped, limit)
    gate(
        kept >= config.min_rows,
        f"{name}: {kept} rows to train on, fewer than min_rows={config.min_rows} (dropped: {why}). Make more data, raise `max_length`, or "
        "lower `min_rows`.",
    )
    gate(
        lost <= config.max_dropped * (kept + lost),
        f"{name}: {lost} of {kept + lost} rows dropped ({why}), more than max_dropped={config.max_dropped}. Raise `max_length` or the "
        "sampling's `max_tokens`, or select only whole solutions.",
    )
    return encoded.rows


def _why(dropped: Mapping[str, int], limit: int) -> str:
    said = {"too_long": f"over max_length={limit} tokens", "cut_by_length_limit": "cut when sampled"}
    return ", ".join(f"{dropped.get(reason, 0)} {text}" for reason, text in said.items())
