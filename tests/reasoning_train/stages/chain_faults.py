"""Solutions of the chain task with injected faults, as a file of labelled steps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_gen.records.problem import Problem
from data_gen.tasks.chain import Chain

FAULTS = {"uses": "chain", "train": 4, "explore": 4, "dev": 12, "test": 20, "steps": [1, 4]}
"""The task."""


def faulty(problem: Problem, number: int) -> tuple[list[str], int | None]:
    """Steps with a wrong result, and where the first is. Every third solution has none. A fault may be the last step,
    and later steps are copied from the right solution: they are right as sums, but no longer follow."""
    steps = list(problem.gold_steps)
    if number % 3 == 0:
        return steps, None
    at = number % len(steps)
    before, _, result = steps[at].rpartition(" ")
    steps[at] = f"{before} {(int(result) + 1) % 100}"
    return steps, at


def labelled(split: str) -> Iterator[dict[str, Any]]:
    """A row per problem of a split, in the form of ProcessBench."""
    task = Chain.model_validate(FAULTS)
    for number, problem in enumerate(task.problems(split)):
        steps, at = faulty(problem, number)
        label = -1 if at is None else at
        yield {"problem": problem.question, "steps": steps, "label": label, "generator": f"g{number % 2}"}


def write(path: Path, rows: Iterator[dict[str, Any]] | list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
