"""Traces as runs of tokens in one packed row: one chain per trace (sequence packing), or shared beginnings stored once
(tree packing).

A run continues its parent at its end. A token sees its own run up to itself, the runs of its ancestors, and nothing
else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from reasoning_train.packing.rows import Trace


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive tokens that the same traces share, such as a prompt of four solutions."""

    ids: tuple[int, ...]
    parent: int
    """Index of the run that it continues, which comes before it; -1 for none."""
    start: int
    """Column of its first token."""
    depth: int
    """Position of its first token in its traces."""


@dataclass(slots=True)
class Forest:
    """One packed row.

    >>> forest = grow([Trace((5, 9, 4), (0, 1, 1)), Trace((5, 9, 7), (0, 1, 1))], share=True)
    >>> [(run.ids, run.parent, run.depth) for run in forest.runs], forest.columns
    ([((5, 9), -1, 0), ((4,), 0, 2), ((7,), 0, 2)], [[0, 1, 2], [0, 1, 3]])
    """

    runs: list[Run] = field(default_factory=list)
    columns: list[list[int]] = field(default_factory=list)
    """For each trace, the column of each of its tokens."""

    @property
    def width(self) -> int:
        """Number of columns in use."""
        return self.runs[-1].start + len(self.runs[-1].ids) if self.runs else 0

    def add(self, ids: tuple[int, ...], parent: int, depth: int) -> int:
        """Append a run; returns its index."""
        self.runs.append(Run(ids, parent, self.width, depth))
        return len(self.runs) - 1


def grow(traces: Sequence[Trace], *, share: bool) -> Forest:
    """The forest of traces, in order. `share`: equal beginnings become one run. ValueError for an empty trace."""
    for number, trace in enumerate(traces):
        if not trace.ids or len(trace.weights) != len(trace.ids):
            raise ValueError(
                f"trace {number} has {len(trace.ids)} tokens and {len(trace.weights)} weights; expected as many, and "
                "at least one"
            )
    forest = Forest(columns=[[] for _ in traces])
    waiting = [([i], 0, -1) for i in range(len(traces))] if not share else [(list(range(len(traces))), 0, -1)]
    waiting.reverse()
    while waiting:
        members, depth, parent = waiting.pop()
        grown = []
        for bucket in _buckets(traces, members, depth):
            end = _common(traces, bucket, depth)
            run = forest.add(traces[bucket[0]].ids[depth:end], parent, depth)
            for member in bucket:
                forest.columns[member] += range(forest.runs[run].start, forest.width)
            grown.append((bucket, end, run))
        waiting += reversed(grown)
    return forest


def _buckets(traces: Sequence[Trace], members: list[int], depth: int) -> list[list[int]]:
    """Members that continue, grouped by their next token, in order of appearance."""
    found: dict[int, list[int]] = {}
    for member in members:
        if len(traces[member]) > depth:
            found.setdefault(traces[member].ids[depth], []).append(member)
    return list(found.values())


def _common(traces: Sequence[Trace], members: list[int], depth: int) -> int:
    """The first position where members differ or one of them ends."""
    end = min(len(traces[member]) for member in members)
    first = traces[members[0]].ids
    for member in members[1:]:
        ids = traces[member].ids
        end = next((t for t in range(depth, end) if ids[t] != first[t]), end)
    return end
