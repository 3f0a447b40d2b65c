"""The scorer interface: it takes prefixes and returns values that share one scale tag.

    scores = await scorer(prefixes, lm)

A scorer config is a small pydantic model registered under the name that recipes use. `open` binds it to what it needs.
The search's tree caches values per prefix, checks for NaN, converts scales and counts tokens, so that scorers need not.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from data_gen.engines.base import LM, Sample
from data_gen.errors import UserError
from data_gen.format import StepCodec
from data_gen.records.prefix import Prefix
from data_gen.records.problem import Problem
from data_gen.records.scales import Scale
from data_gen.records.verdict import Verdict
from data_gen.registry import Piece, Registry
from data_gen.tasks.base import Task
from data_gen.verifiers.heads import HeadConfig


@dataclass(frozen=True, slots=True)
class Rollout:
    """A completion drawn to estimate a value, with its outcome (1, 0, or None: unverifiable). The tree keeps it as a
    leaf."""

    sample: Sample
    answer: str | None
    outcome: float | None


@dataclass(frozen=True, slots=True)
class Score:
    """A value and its cost: `Score(0.75, tokens=48)`."""

    value: float
    tokens: int = 0
    """Tokens that a verifier reads for it, cached ones included. Tokens of rollouts are counted from `rollouts`."""
    rollouts: tuple[Rollout, ...] = ()


class Scorer(Protocol):
    """An opened scorer."""

    name: str
    """Name of the scorer with its model's hash. It is stored in every tree."""
    scale: Scale

    async def __call__(self, prefixes: Sequence[Prefix], lm: LM) -> list[Score]:
        """Scores in the order of the prefixes. `lm` has its own path. Scorers that draw nothing ignore it."""


class GrantedGold:
    """The only way in which gold reaches a program: as a number, if the stage grants it."""

    def __init__(self, task: Task, codec: StepCodec) -> None:
        self._task, self._codec = task, codec

    async def outcome(self, problem: Problem, token_ids: Sequence[int] | None) -> float | None:
        """1 for a right solution, 0 for a wrong one, None if it cannot be verified.

        Args:
            problem: What was asked.
            token_ids: The whole solution; None for one that was cut or has no answer.
        """
        segments = self._codec.split(token_ids) if token_ids is not None else ()
        if self._task.instant:
            grade = self._task.grade_solution(problem, segments)
        else:
            grade = await asyncio.to_thread(self._task.grade_solution, problem, segments)
        return {Verdict.CORRECT: 1.0, Verdict.WRONG: 0.0}.get(grade.verdict)

    def steps_ok(self, problem: Problem, steps: Sequence[str], *, ended: bool) -> bool | None:
        """Whether every step so far passes the task's exact checker. None if the task has none. `ended`: missing steps
        count as wrong."""
        checked = self._task.check_steps(problem, steps)
        if checked is None:
            return None
        return all(checked if ended else checked[: len(steps)])


def _uncounted(name: str) -> None:
    """Default for `Tools.count`: counts nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a stage offers to a scorer that it opens."""

    codec: StepCodec
    gold: GrantedGold | None = None
    """None: the stage does not grant gold."""
    verifier: Path | None = None
    """Folder of the stage's verifier checkpoint."""
    verifier_hash: str = ""
    policy_hash: str = ""
    """Short hashes of the two models, for the scorer's name."""
    policy_head: HeadConfig | None = None
    """The head of a joint policy. The engine returns its values."""
    context: int = 1 << 30
    """The policy's context, in tokens."""
    seed: int = 0
    count: Callable[[str], None] = _uncounted
    """Adds one to a counter of the stage's manifest, e.g. `count("scorer.too_long")`."""

    def granted(self, who: str) -> GrantedGold:
        """Gold. UserError says how to grant it if the stage does not."""
        if self.gold is None:
            raise UserError(
                f"{who} needs gold answers, which this stage does not grant. On training problems set `gold: true`."
            )
        return self.gold


class ScorerConfig(Piece, ABC):
    """Base of all scorer configs. Each has a `uses: Literal["name"] = "name"`."""

    needs_verifier: ClassVar[bool] = False
    needs_head: ClassVar[bool] = False
    """True: the scorer reads the verifier's value head."""
    needs_value_head: ClassVar[bool] = False
    """True: the policy must be a joint model, whose values the engine returns."""

    @property
    def needs_gold(self) -> bool:
        """True: it uses gold, so trees that it scored are marked `oracle`."""
        return False

    @property
    def needs_step_checker(self) -> bool:
        """True: the task must be able to check steps."""
        return False

    @property
    def rolls_out(self) -> bool:
        """True: every scored prefix gets rollouts."""
        return False

    def check_head(self, head: HeadConfig) -> None:
        """UserError if the scorer cannot read the head of the model that gives its values. It is called when a recipe
        loads and again when the scorer opens."""

    def draws(self) -> tuple[int, int]:
        """(samples, tokens) that the policy draws for one prefix at most, for estimates before the run."""
        return 0, 0

    @abstractmethod
    def open(self, tools: Tools) -> Scorer:
        """The scorer, ready to be called. UserError if `tools` lacks what it needs."""


SCORERS: Registry[type[ScorerConfig]] = Registry("scorer", package="data_gen.scorers", group="data_gen.scorers")
"""Name -> config class. Modules of scorers import nothing heavy at top level."""
