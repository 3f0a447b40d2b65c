"""The measure interface: it takes a problem and a solution and returns named numbers, each with its better
direction."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import ClassVar, Protocol

from data_gen.format import TaskFormat
from data_gen.records.problem import Problem
from data_gen.records.solution import Solution
from data_gen.records.verdict import Answer, Grade
from data_gen.registry import Piece

TOKENS = ("tokens", "generated", "scored", "read")
"""Columns of tables that count tokens; `read` counts those of a program's prompts."""
COSTS = (*TOKENS, "calls")
"""Columns of costs. `calls` counts completions asked of models, in tables of votes and programs."""
SHARES = ("accuracy", "trace", "cut", "coverage")
"""Columns between 0 and 1 that every table has, or may have."""
CURVES = RISK, AURC = "risk", "aurc"
"""Figures of a whole row that no single problem has: the risk among the answered, the area under its curve."""
AT_K = re.compile(r"(?:pass|maj)@(\d+)")
"""Columns that evaluations compute from k samples."""


def is_taken(name: str) -> bool:
    """Whether a table has a column of this name without any measure."""
    return name in (*COSTS, *SHARES, *CURVES) or AT_K.fullmatch(name) is not None


class Direction(StrEnum):
    """Whether higher or lower is better."""

    HIGHER = "higher"
    LOWER = "lower"


class MeasuredTask(Protocol):
    """The part of a task that a measure may use."""

    @property
    def format(self) -> TaskFormat:
        """How prompts, steps and answers are written."""

    def grade(self, problem: Problem, answer: Answer) -> Grade:
        """Verdict on an answer to a problem."""

    def same(self, problem: Problem, one: str, other: str) -> bool:
        """Whether two answers are one."""

    def check_steps(self, problem: Problem, steps: Sequence[str]) -> tuple[bool, ...] | None:
        """Exact verdict on every step. None if the task has no step checker."""


class Measure(Piece, ABC):
    """Base of all measures. Every row of an evaluation has the measure's columns; tables, claims and stop rules read
    them by name."""

    reads_gold: ClassVar[bool] = False
    """Whether it compares with gold, or asks the task's own checker. A vote that uses such a measure uses gold, and its
    rows say so."""

    @abstractmethod
    def directions(self) -> Mapping[str, Direction]:
        """Every column of the measure, with its better direction."""

    def shares(self) -> frozenset[str]:
        """The columns, and the `ratios`, whose values lie between 0 and 1. Their intervals have a width even where all
        values are equal, and tables show them in per cent. The default is none: counts have no upper bound."""
        return frozenset()

    def ratios(self) -> Mapping[str, tuple[str, ...]]:
        """Further columns of tables, which rows do not have: the sum of one column over the sum of another, such as F1;
        with a third column n, the mean of the n-th powers of that ratio; of four columns, the harmonic mean of two
        ratios. Claims compare them: every resample of problems computes them anew."""
        return {}

    @abstractmethod
    def of(self, task: MeasuredTask, problem: Problem, solution: Solution) -> dict[str, float]:
        """The columns of one solution, in the order of `directions`. A measure that does not apply
        to the task (no step checker) or to the problem (gold that it cannot read) gives none, which is no 0."""
