"""What a scorer is: prefixes in, values with one scale tag out.

    scores = await scorer(prefixes, lm)

A scorer config is a small pydantic model registered under the name that recipes use; `open` binds it to what it needs.
The search's tree caches per prefix, checks for NaN, converts scales and charges tokens, so that no scorer has to.
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
from data_gen.records.problem import Problem
from data_gen.records.scales import Scale
from data_gen.records.verdict import Verdict
from data_gen.registry import Piece, Registry
from data_gen.tasks.base import Task
from data_gen.verifiers.heads import HeadConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefix:
    """A partial solution as scorers see it.

    `Prefix(problem=p, prompt_ids=(5, 9), token_ids=(7, 4), ends=(1,), read=lambda: (("12 + 5 = 17",), ""),
    ended=False)`
    """

    problem: Problem
    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    """The policy's ids since the prompt. A verifier with another tokenizer reads `steps` instead."""
    ends: tuple[int, ...] = ()
    """Index in `token_ids` of the last token of every step and of the answer line (its end token included); empty: not
    known."""
    cuts: tuple[int, ...] = ()
    """Where, in `token_ids`, the nodes of the path end that other prefixes may share; the last one is the length.
    Empty: not known."""
    read: Callable[[], tuple[tuple[str, ...], str]]
    """Gives `steps` and `closing`; called when a scorer asks for them, since most read ids only."""
    ended: bool
    """The solution is over: it has an answer, or can have none."""
    answer: str | None = None
    value: float | None = None
    """What a joint model said when it drew the last token, on its head's scale."""

    @property
    def steps(self) -> tuple[str, ...]:
        """Texts of the reasoning steps, stripped."""
        return self.read()[0]

    @property
    def solution(self) -> tuple[int, ...] | None:
        """The whole solution for `GrantedGold.outcome`; None where there is no answer."""
        return None if self.answer is None else self.token_ids

    @property
    def closing(self) -> str:
        """The answer line, where there is one."""
        return self.read()[1]


@dataclass(frozen=True, slots=True)
class Rollout:
    """A completion drawn to estimate a value, with its outcome (1, 0, or None: unverifiable); the tree keeps it as a
    leaf."""

    sample: Sample
    answer: str | None
    outcome: float | None


@dataclass(frozen=True, slots=True)
class Score:
    """A value and what it cost: `Score(0.75, tokens=48)`."""

    value: float
    tokens: int = 0
    """Tokens that a verifier reads for it, whatever was cached (those of rollouts are counted from `rollouts`)."""
    rollouts: tuple[Rollout, ...] = ()


class Scorer(Protocol):
    """An opened scorer."""

    name: str
    """What it is and which model's hash it has: goes into every tree."""
    scale: Scale

    async def __call__(self, prefixes: Sequence[Prefix], lm: LM) -> list[Score]:
        """Scores in the order of the prefixes. `lm` has a path of its own; scorers that draw nothing ignore it."""


class GrantedGold:
    """The one way by which gold reaches a program: as a number, where the stage grants it."""

    def __init__(self, task: Task, codec: StepCodec) -> None:
        self._task, self._codec = task, codec

    async def outcome(self, problem: Problem, token_ids: Sequence[int] | None) -> float | None:
        """1 for a right solution, 0 for a wrong one, None where it cannot be verified.

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
        """Whether every step so far is right by the task's exact checker; None where it has none. `ended`: missing
        steps are wrong ones."""
        checked = self._task.check_steps(problem, steps)
        if checked is None:
            return None
        return all(checked if ended else checked[: len(steps)])


def _uncounted(name: str) -> None:
    """Nobody counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a stage can offer to a scorer that it opens."""

    codec: StepCodec
    gold: GrantedGold | None = None
    """None: the stage does not grant gold."""
    verifier: Path | None = None
    """Folder of the stage's verifier checkpoint."""
    verifier_hash: str = ""
    policy_hash: str = ""
    """Short hashes of the two models, for the scorer's name."""
    policy_head: HeadConfig | None = None
    """The head of a joint policy, whose values the engine returns."""
    context: int = 1 << 30
    """Tokens that the policy takes."""
    seed: int = 0
    count: Callable[[str], None] = _uncounted
    """Adds one to a counter of the stage's manifest, e.g. `count("scorer.too_long")`."""

    def granted(self, who: str) -> GrantedGold:
        """Gold, or a UserError that says how to grant it."""
        if self.gold is None:
            raise UserError(
                f"{who} needs gold answers, which this stage does not grant. On training problems set `gold: true`."
            )
        return self.gold


class ScorerConfig(Piece, ABC):
    """Base of all scorer configs; each has a `uses: Literal["name"] = "name"`."""

    needs_verifier: ClassVar[bool] = False
    needs_head: ClassVar[bool] = False
    """True: what it reads of the verifier is a value head."""
    needs_value_head: ClassVar[bool] = False
    """True: the policy is a joint model and the engine returns its values."""

    @property
    def needs_gold(self) -> bool:
        """True: gold takes part, so trees that it scored are marked `oracle`."""
        return False

    @property
    def needs_step_checker(self) -> bool:
        """True: the task must be able to check steps."""
        return False

    @property
    def rolls_out(self) -> bool:
        """True: what it scores gets rollouts."""
        return False

    def check_head(self, head: HeadConfig) -> None:
        """UserError where the scorer cannot read the head of the model that gives it values: asked when a recipe
        loads, and again when the scorer opens."""

    def draws(self) -> tuple[int, int]:
        """(samples, tokens) that the policy draws for one prefix, at most: for estimates before the run."""
        return 0, 0

    @abstractmethod
    def open(self, tools: Tools) -> Scorer:
        """The scorer, ready to be called. UserError where `tools` lacks what it needs."""


SCORERS: Registry[type[ScorerConfig]] = Registry("scorer", package="data_gen.scorers", group="data_gen.scorers")
"""Name -> config class; modules of scorers import nothing heavy at top level."""
