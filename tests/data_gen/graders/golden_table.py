"""Reads `golden_table.txt`: pairs of answers, and whether they are equal."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).parent / "golden_table.txt"
RULES = ("classes", "equal", "differ", "hub", "alone")


class Pair(NamedTuple):
    """Two forms under a kind of the table."""

    kind: str
    one: str
    other: str
    equal: bool


class Section(NamedTuple):
    """The rows of one kind."""

    kind: str
    rule: str
    reason: str
    rows: list[list[str]]

    def pairs(self) -> Iterator[Pair]:
        """Every pair that the rule labels."""
        for row in self.rows:
            pairs = itertools.combinations(row, 2)
            if self.rule in ("hub", "alone"):
                pairs = ((row[0], other) for other in row[1:])  # type: ignore[assignment]
            for one, other in pairs:
                yield Pair(self.kind, one, other, self.rule in ("classes", "equal", "hub"))
        if self.rule == "classes":
            for first, second in itertools.combinations(self.rows, 2):
                for one, other in itertools.product(first, second):
                    yield Pair(self.kind, one, other, False)


def sections() -> list[Section]:
    """The whole table."""
    found: list[Section] = []
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            kind, rule, reason = line[3:].split(": ", 2)
            assert rule in RULES, line
            found.append(Section(kind, rule, reason, []))
        elif line and not line.startswith("#"):
            found[-1].rows.append(line.strip().split(" ¦ "))
    return found
