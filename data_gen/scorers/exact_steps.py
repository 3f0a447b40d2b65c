"""The exact step checker of a synthetic task: an error-free process verifier, for experiments and as an upper bound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from data_gen.engines.base import LM
from data_gen.errors import UserError
from data_gen.records.prefix import Prefix
from data_gen.records.scales import Scale
from data_gen.scorers.base import SCORERS, GrantedGold, Score, ScorerConfig, Tools


@SCORERS.register("exact_steps")
class ExactSteps(ScorerConfig):
    """`{uses: exact_steps}`: 1 while every step is right, else 0. A bare problem has 1.

    In a finished solution the answer must be right, too.
    """

    uses: Literal["exact_steps"] = "exact_steps"

    @property
    def needs_step_checker(self) -> bool:
        """Always True."""
        return True

    @property
    def needs_gold(self) -> bool:
        """True: the checker knows the right steps."""
        return True

    def open(self, tools: Tools) -> _ExactSteps:
        """UserError if the stage does not grant gold."""
        return _ExactSteps(tools.granted("scorer.exact_steps"))


class _ExactSteps:
    name, scale = "exact_steps", Scale.P

    def __init__(self, gold: GrantedGold) -> None:
        self._gold = gold

    async def __call__(self, prefixes: Sequence[Prefix], lm: LM) -> list[Score]:
        """UserError if the task cannot check steps."""
        return [Score(float(await all_right(self._gold, prefix, "scorer.exact_steps"))) for prefix in prefixes]


async def all_right(gold: GrantedGold, prefix: Prefix, who: str) -> bool:
    """Whether nothing is wrong so far. UserError, which names the caller `who`, if the task has no step checker."""
    right = gold.steps_ok(prefix.problem, prefix.steps, ended=prefix.ended)
    if right is None:
        raise UserError(
            f"{who} needs a task that can check steps (as chain does), but the task of problem "
            f"{prefix.problem.id!r} cannot."
        )
    return right and (not prefix.ended or await gold.outcome(prefix.problem, prefix.solution) != 0.0)
