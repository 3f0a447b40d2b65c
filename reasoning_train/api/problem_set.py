"""Sets of problems by their sources, which one recipe may compare with those of another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

from data_gen.tasks.base import Origin


@dataclass(frozen=True, slots=True)
class ProblemSet:
    """Problems of one split, or of some parts of it."""

    origin: Origin
    """Its source is a digest where it is a file, so that neither the file's name nor its place matters."""
    split: str
    """What the recipe calls the split."""
    parts: frozenset[tuple[int, int, int]] = frozenset()
    """(of, salt, part) of every `part` stage on the way."""

    def meets(self, other: ProblemSet) -> bool:
        """Whether both may hold a problem in common: their origins overlap, and no division has dealt them to two
        parts."""
        mine = {(of, salt): part for of, salt, part in self.parts}
        apart = any(mine.get((of, salt), part) != part for of, salt, part in other.parts)
        return not apart and self.origin.overlaps(other.origin)

    def within(self, division: tuple[int, int, int] | None) -> ProblemSet:
        """The problems that a stage such as `part` keeps of these; without a division it keeps any."""
        return self if division is None else replace(self, parts=self.parts | {division})

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        origin = {"source": self.origin.source, "split": self.origin.split, "dealt": self.origin.dealt}
        return {**origin, "named": self.split, "parts": sorted(map(list, self.parts))}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The inverse of `to_json`."""
        origin = Origin(data["source"], data["split"], data["dealt"])
        return cls(origin, data["named"], frozenset((of, salt, part) for of, salt, part in data["parts"]))
