"""Runs a program on a problem: it hands out kits without gold, numbers and grades the rows, and adds up what they
cost."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from data_gen.engines.base import LM, Engine, Sampling
from data_gen.errors import UserError
from data_gen.format import StepCodec
from data_gen.programs.base import PromptProgram
from data_gen.programs.kit import POLICY, Kit, Seat
from data_gen.programs.ledger import Ledger, Path
from data_gen.programs.question import BareProblem, without_gold
from data_gen.programs.rows import graded
from data_gen.records.calls import Charge, total
from data_gen.records.prefix import Prefix
from data_gen.records.problem import Problem
from data_gen.records.scales import as_weight, check
from data_gen.records.segment import Kind
from data_gen.records.solution import Solution
from data_gen.scorers.base import Score, Scorer
from data_gen.tasks import Task
from data_gen.verifiers.heads import step_ends


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """`FinishedRun(rows=(draft, final), answer=1, answers={})`."""

    rows: tuple[Solution, ...]
    """Graded, in the order in which the program made them."""
    answer: int
    """Index of its answer."""
    answers: Mapping[int, int]
    """Number of turns -> index of the answer if it had stopped there, for `PromptProgram.stops`."""

    def upto(self, turns: int | None) -> tuple[Solution, ...]:
        """The rows of the first turns, or all."""
        return self.rows if turns is None else first_turns(self.rows, turns)

    def shown(self, turns: int | None) -> Solution:
        """The answer, or the one after some turns."""
        return self.rows[self.answer if turns is None else self.answers[turns]]

    def charge(self, turns: int | None = None) -> Charge:
        """Its cost, all roles together."""
        charges = [replace(one, role="all") for row in self.upto(turns) for one in row.charges]
        return total(charges)[0] if charges else Charge(role="all")


def first_turns(rows: Sequence[Solution], turns: int) -> tuple[Solution, ...]:
    """The rows of the first turns of every chain."""
    return tuple(row for row in rows if _within(row, turns))


def _within(row: Solution, turns: int) -> bool:
    return row.turn is None or row.turn < turns


@dataclass(frozen=True, slots=True)
class OtherModel:
    """A model that a program asks besides the policy: `OtherModel(engine, codec, context=4096)`."""

    engine: Engine
    codec: StepCodec
    context: int
    """Longest sequence in tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramRunner:
    """What all runs of a stage share: `ProgramRunner(program=Solve(), task=task, codec=codec, context=256)`."""

    program: PromptProgram
    task: Task
    codec: StepCodec
    context: int
    others: Mapping[str, OtherModel] = field(default_factory=dict)
    """The models besides the policy, by role."""
    seed: int = 0
    """With their role and the place in the program it seeds their requests."""
    scorer: Scorer | None = None
    keep: bool = False
    """Keep the text of every request in the rows."""

    async def runs(self, problem: Problem, lm: LM, numbers: range, sampling: Sampling) -> list[FinishedRun]:
        """Independent runs, in order. Grading goes on in a thread, so a slow checker does not block the engine."""
        kit = self._kit(problem, lm, sampling)
        found = await self.program.solve_all(kit.problem, kit, numbers)
        for number, rows in zip(numbers, found, strict=True):
            if not rows:
                raise UserError(
                    f"program {self.program.uses!r}: run {number} on problem {problem.id!r} made no row; expected at "
                    "least one. Return a solution that says in `notes` what went wrong."
                )
        return await asyncio.to_thread(self._finished, problem, kit, found, numbers)

    def _kit(self, problem: Problem, lm: LM, sampling: Sampling) -> Kit:
        bare = without_gold(problem)
        asked = self.codec.format.task.asked(problem.question)
        shown = BareProblem(
            id=problem.id,
            question=problem.question,
            asked=asked,
            choices=problem.choices,
            labels=problem.labels,
            split=problem.split,
            task=problem.task,
        )
        others = {
            name: Seat(one.codec, one.context, LM(one.engine, self.seed, ("role", name, *lm.path)))
            for name, one in self.others.items()
        }
        return Kit(
            problem=shown,
            seats={POLICY: Seat(self.codec, self.context, lm), **others},
            sampling=sampling,
            classes=partial(self.task.classes, bare),
            ledger=Ledger(keep=self.keep),
            scoring=ScoringOf(self.scorer, bare, self.codec, lm) if self.scorer else None,
        )

    def _finished(
        self, problem: Problem, kit: Kit, found: Sequence[Sequence[Solution]], numbers: range
    ) -> list[FinishedRun]:
        return [self._one(problem, kit, number, rows) for number, rows in zip(numbers, found, strict=True)]

    def _one(self, problem: Problem, kit: Kit, number: int, rows: Sequence[Solution]) -> FinishedRun:
        if self.program.plain:
            return FinishedRun(tuple(self._plain(problem, row) for row in rows), len(rows) - 1, {})
        own = kit.at("run", number)
        answer = self.program.choose(rows, own)
        answers = {turns: self._answer(rows, turns, own) for turns in self.program.stops}
        made = [replace(graded(problem, row, self.task), run=number, chosen=i == answer) for i, row in enumerate(rows)]
        return FinishedRun(tuple(made), answer, answers)

    def _answer(self, rows: Sequence[Solution], turns: int, kit: Kit) -> int:
        """The answer after some turns, as an index among all rows."""
        seen = [i for i, row in enumerate(rows) if _within(row, turns)]
        return seen[self.program.choose([rows[i] for i in seen], kit)]

    def _plain(self, problem: Problem, row: Solution) -> Solution:
        return graded(problem, replace(row, notes=(), charges=()), self.task)


class ScoringOf:
    """A scorer bound to one problem. It reads every solution behind the question's own prompt, not behind the
    conversation that led to it."""

    def __init__(self, scorer: Scorer, problem: Problem, codec: StepCodec, lm: LM) -> None:
        self._scorer, self._problem, self._lm, self._codec = scorer, problem, lm, codec
        self._prompt = tuple(codec.prompt_ids(problem.question))

    async def __call__(self, rows: Sequence[Solution], at: Path) -> list[tuple[float, int]]:
        """(weight, tokens read and drawn for it) of every row."""
        if not rows:
            return []
        scores = await self._scorer([self._prefix(row) for row in rows], self._lm.at(*at, "score"))
        scale = self._scorer.scale
        values = [check(one.value, scale, f"scorer {self._scorer.name}") for one in scores]
        return [(as_weight(value, scale), _tokens(one)) for value, one in zip(values, scores, strict=True)]

    def _prefix(self, row: Solution) -> Prefix:
        steps = row.steps
        closing = next((s.text.strip() for s in reversed(row.segments) if s.kind is Kind.ANSWER), "")
        return Prefix(
            problem=self._problem,
            prompt_ids=self._prompt,
            token_ids=row.token_ids,
            ends=tuple(step_ends(row.segments)),
            read=lambda: (steps, closing),
            ended=row.finish == "stop",
            answer=row.answer,
        )


def _tokens(score: Score) -> int:
    return score.tokens + sum(len(rollout.sample.token_ids) for rollout in score.rollouts)
