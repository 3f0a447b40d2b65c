"""The program interface: a frozen config that recipes write, and one `async def solve` that reads like its paper.

A stage runs a program `n` times on every problem. A run may ask several models, in any order; the engines batch the
requests of all runs. The runner (running.py) grades what comes back, so that gold never enters a program.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from data_gen.measures.base import Direction
from data_gen.records.solution import Solution
from data_gen.registry import Piece

if TYPE_CHECKING:
    from data_gen.programs.kit import Kit
    from data_gen.programs.question import BareProblem


class PromptProgram(Piece, ABC):
    """Base of all programs. Each has a `uses: Literal["name"] = "name"`. Their modules import nothing heavy at top
    level."""

    plain: ClassVar[bool] = False
    """True: a run is one completion of the policy's own prompt, so its row says by itself what it cost."""

    @property
    def roles(self) -> tuple[str, ...]:
        """Models that it asks besides the policy. The stage's `models` must name them."""
        return ()

    @property
    def needs_scorer(self) -> bool:
        """True: it calls `kit.score`, so the stage must have a `scorer`."""
        return False

    @property
    def most_calls(self) -> int:
        """Most completions of one run, all models together, for estimates before a stage runs."""
        return 1

    @property
    def strategy(self) -> str:
        """What tables say of it, such as `revise 2x4, majority`."""
        return self.uses

    @property
    def stops(self) -> Sequence[int]:
        """Numbers of turns after which it might have stopped. Evaluations add a row `NAME@turns` for each: the answer
        that the turns so far give, at their cost."""
        return ()

    def directions(self) -> Mapping[str, Direction]:
        """The columns of `measure`, with their better direction."""
        return {}

    def shares(self) -> frozenset[str]:
        """Those whose values lie between 0 and 1."""
        return frozenset()

    def ratios(self) -> Mapping[str, tuple[str, ...]]:
        """Further columns of tables: the sum of one column over the sum of another (`Measure.ratios`)."""
        return {}

    def measure(self, rows: Sequence[Solution]) -> dict[str, float]:
        """Columns about the graded rows of one run, or about those of its first turns. A column may be left out."""
        return {}

    @abstractmethod
    async def solve(self, problem: BareProblem, kit: Kit) -> list[Solution]:
        """One run: the solutions that it makes, in order, each by `kit.solution`. At least one."""

    def choose(self, rows: Sequence[Solution], kit: Kit) -> int:
        """Index of the run's answer among its rows, or among the rows of its first turns. Default: the last. The rows
        are not graded yet."""
        return len(rows) - 1

    async def solve_all(self, problem: BareProblem, kit: Kit, runs: range) -> list[list[Solution]]:
        """Several independent runs, in order. The random streams of a run depend on its number alone."""
        return list(await asyncio.gather(*(self._run(problem, kit.of_run(i)) for i in runs)))

    async def _run(self, problem: BareProblem, kit: Kit) -> list[Solution]:
        return kit.closed(await self.solve(problem, kit))
