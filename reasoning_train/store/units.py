"""The unit of each kind of rows: a problem, a solution, a tree, a pair, a path with targets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from reasoning_train.api.stage import Input
from reasoning_train.store.rows import Rows

PROBLEM_COLUMN = {
    "problems": "id",
    "solutions": "problem_id",
    "trees": "problem_id",
    "pairs": "problem_id",
    "value_targets": "problem_id",
}
"""Kind of rows -> the column that names their problem."""
NUMBER_COLUMN = {"solutions": "sample", "trees": "sample", "pairs": "tree", "value_targets": "tree"}
"""Kind of rows -> the column that tells solutions or trees of one problem apart."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One problem, solution, tree, pair or path: rows `start` to `start + rows` of its folder."""

    problem: str
    number: int
    """Number of the solution or tree within the problem; 0 for a problem."""
    group: str
    """Split key of the problem."""
    start: int
    rows: int = 1


def read_units(source: Input) -> Iterator[Unit]:
    """The units of an input in order. Reads only three columns."""
    problem, number = PROBLEM_COLUMN[source.kind], NUMBER_COLUMN.get(source.kind)
    columns = [name for name in (problem, number, "group") if name]

    def key(numbered: tuple[int, dict[str, Any]]) -> tuple[str, int, str]:
        row = numbered[1]
        return row[problem], row[number] if number else 0, row["group"] or ""

    rows = enumerate(Rows(source.path, columns))
    if source.kind != "trees":
        yield from (Unit(*key(row), start=row[0]) for row in rows)
        return
    for (name, tree, group), nodes in groupby(rows, key=key):
        first, *rest = (i for i, _ in nodes)
        yield Unit(name, tree, group, first, 1 + len(rest))
