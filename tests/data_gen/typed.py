"""Segments by hand: `typed(("step", "3 + 4 = 7\\n"), ("answer", "Answer: 7"))`."""

from __future__ import annotations

from data_gen.records.segment import Kind, Segment


def typed(*pieces: tuple[str, str]) -> list[Segment]:
    """One segment a (kind, text) pair, without token ids."""
    return [Segment(kind=Kind(kind), text=text) for kind, text in pieces]
