"""A problem: one question with its gold answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from data_gen.records.rows import Tags, from_row, to_row


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One question with its gold answer.

    >>> Problem(id="chain/train/7", question="Ana has 12. Ben has 5 more than Ana. How many has Ben?", gold="17",
    ...         gold_steps=("Ben: 12 + 5 = 17",), group="chain/train/7", split="train", difficulty=1.0,
    ...         tags={"steps": "1"}).gold
    '17'
    """

    id: str
    """Stable and unique within a recipe. Ids of `tasks.NAME` begin with `NAME/`. Rows of other kinds name their problem
    by it, and random streams and shards derive from it."""
    question: str
    gold: str | None
    """Gold answer as text. None if the source has none; such rows are unverifiable."""
    group: str
    """Split key: rows of one group are never divided between splits."""
    split: str
    gold_steps: tuple[str, ...] = ()
    """Worked solution, one step an entry, without delimiters and without the final answer line."""
    more_steps: tuple[tuple[str, ...], ...] = ()
    """Further worked solutions, in the order of the source."""
    choices: tuple[str, ...] = ()
    """Texts of the options. The question letters them A, B, C, ... and gold names them so."""
    labels: tuple[str, ...] = ()
    """The options' labels in the source where they are others. An answer may use them, too."""
    difficulty: float | None = None
    task: str = ""
    """Name of the task that grades it: the NAME of `tasks.NAME`, empty for `task`."""
    payload: str = ""
    """What the task's checker needs besides gold, as JSON. Most tasks leave it empty."""
    tags: Tags = field(default_factory=dict, hash=False)
    """What tables are grouped by and problems are picked by: subject, level, source, ... Every row made from the
    problem carries its tags."""

    def to_row(self) -> dict[str, Any]:
        """The Parquet row: question and answer first."""
        return to_row(self)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """The record of a Parquet row; extra columns are ignored."""
        return cls(**from_row(cls, row))
