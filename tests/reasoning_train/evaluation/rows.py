"""Rows of an evaluation table made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def row(policy: str, problem: str, right: bool | None, **more: Any) -> dict[str, Any]:
    """One row; `right=None` is unverifiable."""
    verdict = "unverifiable" if right is None else "correct" if right else "wrong"
    return {
        "policy": policy,
        "strategy": "greedy",
        "problem_id": problem,
        "difficulty": 1.0,
        "gold": "7",
        "verdict": verdict,
        "accuracy": float(bool(right)),
        "cut": float(more.get("finish") == "length"),
        "steps_ok": bool(right),
        "answer": "7" if right else "8",
        "finish": "stop",
        "tokens": 10,
        "question": f"Question {problem}?",
        "solution": "Answer: 7",
        "sampled_answers": [],
        "sampled_correct": [],
        "sampled_steps_ok": [],
        "sampled_tokens": [],
        **more,
    }


def rows(policy: str, outcomes: Sequence[bool | None]) -> list[dict[str, Any]]:
    """A row a problem: `rows("base", [True, False])` are problems p0 and p1."""
    return [row(policy, f"p{i}", right) for i, right in enumerate(outcomes)]
