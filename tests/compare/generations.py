"""Generations of a finished run, with the columns that other tools have as well."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reasoning_train.store.plan_json import read_plan
from reasoning_train.store.rows import Rows
from reasoning_train.store.store import Store
from reasoning_train.store.table_row import TableRow

COLUMNS = {"lm_eval": ("strict", "flex"), "math_verify": ("math_verify",)}
"""Tool -> the columns of our tables that ought to equal its verdicts."""


@dataclass(frozen=True, slots=True)
class Generation:
    """`Generation("gsm8k", "smollm2", "test/0", "Ana has ...", "18", "So #### 18", {"strict": 1.0, "flex": 1.0})`."""

    stage: str
    policy: str
    id: str
    question: str
    gold: str
    text: str
    ours: dict[str, float]
    """Column -> the verdict of this program."""


def generations_of(store: Path, run: str) -> Iterator[Generation]:
    """Every row of every finished table of the latest run of a recipe that has a column of another tool. UserError if
    there is no such run."""
    plan, opened = read_plan(store / "runs" / run / "latest" / "plan.json"), Store(store)
    wanted = {column for columns in COLUMNS.values() for column in columns}
    for node in plan.nodes.values():
        artifact = opened.find(node) if node.uses == "evaluate" else None
        for row in map(TableRow.from_row, Rows(artifact.path / "table")) if artifact else ():
            ours = {name: value for name, value in row.measures.items() if name in wanted}
            if ours and row.gold is not None:
                yield Generation(node.name, row.policy, row.problem_id, row.question, row.gold, row.solution, ours)
