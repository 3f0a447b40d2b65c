"""What a measure is: a problem and a solution in, named numbers out, each with its good direction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from data_gen.format import TaskFormat
from data_gen.records.problem import Problem
from data_gen.records.solution import Solution
from data_gen.registry import Piece


class Direction(StrEnum):
    """Which way a number gets better."""

    HIGHER = "higher"
    LOWER = "lower"


class MeasuredTask(Protocol):
    """What a measure sees of the task."""

    @property
    def format(self) -> TaskFormat:
        """How prompts, steps and answers are written."""

    def check_steps(self, problem: Problem, steps: Sequence[str]) -> tuple[bool, ...] | None:
        """Exact verdict on every step; None where the task has no step checker."""


class Measure(Piece, ABC):
    """Base of all measures. Its columns stand in every row of an evaluation, and tables, claims and stop rules read
    them by name."""

    @abstractmethod
    def directions(self) -> Mapping[str, Direction]:
        """Every column that the measure gives, with its good direction."""

    @abstractmethod
    def of(self, task: MeasuredTask, problem: Problem, solution: Solution) -> dict[str, float]:
        """The columns of one solution, in the order of `directions`; the same ones for every solution of a task. A
        measure that a task cannot have (no step checker) gives none."""
