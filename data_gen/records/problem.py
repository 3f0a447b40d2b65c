"""A problem: one question with its gold answer."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One question with its gold answer.

    >>> Problem(id="chain/train/7", question="Ana has 12. Ben has 5 more than Ana. How many has Ben?", gold="17",
    ...         gold_steps=("Ben: 12 + 5 = 17",), group="chain/train/7", split="train", difficulty=1.0).gold
    '17'
    """

    id: str
    """Stable and unique within the task; random streams and shards derive from it."""
    question: str
    gold: str | None
    """Gold answer as text; None where the source has none (such rows are unverifiable)."""
    group: str
    """Split key: rows of one group never stand on both sides of a split."""
    split: str
    gold_steps: tuple[str, ...] = ()
    """Worked solution, one step an entry, without delimiters and without the final answer line."""
    choices: tuple[str, ...] = ()
    difficulty: float | None = None
    payload: str = ""
    """What the task's checker needs beyond gold, as JSON; empty for most."""

    def to_row(self) -> dict[str, Any]:
        """The Parquet row: question and answer first."""
        row = shallow(self)
        return {**row, "gold_steps": list(self.gold_steps), "choices": list(self.choices)}

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Self:
        """The record of a Parquet row; extra columns are ignored."""
        known = {k: row[k] for k in cls.__slots__ if k in row}
        return cls(
            **{**known, "gold_steps": tuple(row.get("gold_steps") or ()), "choices": tuple(row.get("choices") or ())}
        )


def shallow(record: Any) -> dict[str, Any]:
    """The fields of a record by name; records inside it stay records."""
    return {f.name: getattr(record, f.name) for f in dataclasses.fields(record)}
