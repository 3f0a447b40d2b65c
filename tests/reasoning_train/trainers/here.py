"""As much of a stage's context as the trainers use."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any


class Here:
    """Keeps what a stage would record."""

    def __init__(self, partial: Path, deepspeed: str | None = None) -> None:
        self.partial, self.deepspeed, self.seed = partial, deepspeed, 0
        self.metrics: dict[str, Any] = {}
        self.points: list[dict[str, float]] = []
        self.counts = Counter[str]()

    def metric(self, name: str, value: Any) -> None:
        self.metrics[name] = value

    def count(self, name: str, n: int = 1) -> None:
        self.counts[name] += n

    def history(self, **figures: float) -> None:
        self.points.append(figures)

    def progress(self, done: int, total: int | None, **figures: float) -> None:
        """Nobody looks."""
