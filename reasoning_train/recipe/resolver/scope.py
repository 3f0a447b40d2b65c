"""The scope of a reference: outside all groups, in one round of a group, or in one setting of a grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Setting:
    """One point of a grid, e.g. `Setting({"beta": 0.1}, {"beta": "0.1"}, {"beta": "beta.0"})`."""

    values: Mapping[str, Any]
    """Parameter -> value."""
    texts: Mapping[str, str]
    """Parameter -> the value as text in names and references."""
    sources: Mapping[str, str]
    """Parameter -> path of the value inside the grid."""

    @property
    def name(self) -> str:
        """`beta=0.1,lr=0.0001`: part of the names of nodes, logs and jobs."""
        return ",".join(f"{parameter}={text}" for parameter, text in self.texts.items())


@dataclass(frozen=True, slots=True)
class Scope:
    """Outside all groups; in round `k` (from 1) of the group `rounds`; or in a setting of the group `grid`."""

    rounds: str | None = None
    k: int = 0
    grid: str | None = None
    setting: Setting | None = None

    @property
    def prefix(self) -> str:
        """Prefix of the names of nodes in this scope."""
        if self.rounds:
            return f"rounds.{self.rounds}.{self.k}."
        return f"grids.{self.grid}.{self.setting.name}." if self.setting else ""


OUTSIDE = Scope()
