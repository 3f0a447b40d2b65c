"""What a task is: named splits of problems, an answer checker, perhaps a step checker, and the task half of the Format.

A task is a frozen pydantic model: its fields are its configuration in the recipe, its methods the behaviour.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from data_gen.format import TaskFormat
from data_gen.records.problem import Problem
from data_gen.records.verdict import Answer, Gold, Grade, Verdict
from data_gen.registry import Piece


class Task(Piece, ABC):
    """Base of all tasks. Modules of tasks import nothing heavy at top level (no datasets, no sympy)."""

    version: ClassVar[int] = 1
    """Bump when problems or verdicts change for the same configuration; it is part of every key."""

    instant: ClassVar[bool] = False
    """True: a verdict takes microseconds, so nobody needs to wait for it in a thread."""

    format: TaskFormat = TaskFormat()

    @property
    def disjoint_splits(self) -> bool:
        """True where splits cannot share a problem by construction."""
        return False

    @abstractmethod
    def splits(self) -> dict[str, int | None]:
        """Split names with their sizes; None where the size is known only after reading."""

    @abstractmethod
    def problems(self, split: str) -> Iterator[Problem]:
        """Problems of one split, streamed in a fixed order; UserError for an unknown or empty split."""

    @abstractmethod
    def verify(self, gold: Gold, answer: Answer) -> Grade:
        """Three-way verdict on an extracted answer."""

    def grade(self, problem: Problem, answer: Answer) -> Grade:
        """Verdict on an answer to a problem. For tasks whose checker needs more of the problem than its gold, the
        method to override."""
        if problem.gold is None:
            return Grade(Verdict.UNVERIFIABLE, "no_gold")
        return self.verify(Gold(problem.gold), answer)

    def check_steps(self, problem: Problem, steps: Sequence[str]) -> tuple[bool, ...] | None:
        """Exact verdict on every step, or None where the task has no step checker."""
        return None

    def vocabulary(self) -> list[str] | None:
        """Every word, digit and mark that prompts and solutions are made of; None for open text."""
        return None

    def files(self) -> dict[str, Path]:
        """Local files that the problems come from, by field name: their bytes enter the key."""
        return {}
