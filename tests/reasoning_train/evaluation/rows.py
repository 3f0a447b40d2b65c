"""Rows of an evaluation table made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reasoning_train.store.table_row import TableRow


def row(policy: str, problem: str, right: bool | None, **more: Any) -> dict[str, Any]:
    """One row; `right=None` is unverifiable."""
    fields: dict[str, Any] = {
        "policy": policy,
        "strategy": "greedy",
        "problem_id": problem,
        "difficulty": 1.0,
        "gold": "7",
        "verdict": "unverifiable" if right is None else "correct" if right else "wrong",
        "accuracy": None if right is None else float(right),
        "steps_ok": bool(right),
        "answer": "7" if right else "8",
        "tokens": 10,
        "question": f"Question {problem}?",
        "solution": "Answer: 7",
    }
    return TableRow(**{**fields, **more}).to_row()


def rows(policy: str, outcomes: Sequence[bool | None]) -> list[dict[str, Any]]:
    """A row a problem: `rows("base", [True, False])` are problems p0 and p1."""
    return [row(policy, f"p{i}", right) for i, right in enumerate(outcomes)]
