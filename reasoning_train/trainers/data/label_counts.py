"""Counts labels of streamed rows: histograms for the report, and the gate that refuses labels of one class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from data_gen.records.scales import BOUNDS, Scale
from reasoning_train.api.stage import gate

BINS = 10
"""Number of bars of a histogram over an interval."""


class Histogram:
    """A histogram filled from streamed rows: `Histogram("values", Scale.P)` has ten bars from 0 to 1."""

    def __init__(self, title: str, scale: Scale | None = None) -> None:
        """Without a scale, labels are counted by name."""
        self.title, self._low, self._high = title, *(BOUNDS[scale] if scale else (0.0, 0.0))
        if self._low < -1e6:  # unbounded: log-odds and rankings rarely leave this range
            self._low, self._high = -5.0, 5.0
        self._scaled = scale is not None
        self._bars: Counter[int] = Counter()
        self._sum = 0.0
        self._names: Counter[str] = Counter()

    def add(self, values: Iterable[float]) -> None:
        """Count numbers. Those outside the range count in the outermost bars."""
        width = (self._high - self._low) / BINS
        for value in values:
            self._sum += value
            self._bars[min(max(int((value - self._low) / width + 1e-9), 0), BINS - 1)] += 1

    @property
    def mean(self) -> float:
        """Mean of the numbers; 0 without any."""
        return self._sum / max(1, self._bars.total())

    def name(self, names: Iterable[str]) -> None:
        """Count labels."""
        self._names.update(names)

    def metric(self) -> dict[str, Any]:
        """`{"title": ..., "bars": [[label, count], ...]}`, which the report draws."""
        if not self._scaled:
            return {"title": self.title, "bars": [[name, self._names[name]] for name in sorted(self._names)]}
        width = (self._high - self._low) / BINS
        edges = [f"{self._low + i * width:g} to {self._low + (i + 1) * width:g}" for i in range(BINS)]
        return {"title": self.title, "bars": [[edge, self._bars[i]] for i, edge in enumerate(edges)]}


def gate_classes(stage: str, counts: Mapping[bool, int], min_share: float, what: str, rows: Mapping[bool, str]) -> None:
    """GateError unless both labels occur, the rarer one with at least `min_share`. `rows`: the first row with each
    label, for the message."""
    total = sum(counts.values())
    rarer = min((True, False), key=lambda label: counts.get(label, 0))
    share = counts.get(rarer, 0) / total if total else 0.0
    name = "right" if rarer else "wrong"
    bar = f" and >= min_share={min_share}" if min_share else ""
    gate(
        share > 0 and share >= min_share,
        f"{stage}: {counts.get(rarer, 0)} of {total} {what} are {name} (share {share:.4f}, needed > 0{bar}), so "
        f"nothing can be told apart. Use {'easier' if rarer else 'harder'} problems, more trees, or paths of "
        "both kinds."
        + "".join(f" The first that is {'right' if label else 'wrong'}: {row}." for label, row in rows.items()),
    )
