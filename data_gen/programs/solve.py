"""`solve`: worked solutions to a problem, each one completion of the policy's own prompt. The default program."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from data_gen.engines.base import LM, Engine, Sample, Sampling
from data_gen.engines.programs import run_programs
from data_gen.format import StepCodec
from data_gen.programs import PROGRAMS
from data_gen.programs.base import PromptProgram
from data_gen.programs.question import BareProblem
from data_gen.programs.replies import read_reply
from data_gen.programs.rows import graded, ungraded
from data_gen.records.problem import Problem
from data_gen.records.solution import Solution
from data_gen.records.verdict import Verdict
from data_gen.tasks import Task

if TYPE_CHECKING:
    from data_gen.programs.kit import Kit


@PROGRAMS.register("solve")
class Solve(PromptProgram):
    """`program: solve`: one completion of the policy's own prompt. All runs on a problem are samples of one request."""

    plain: ClassVar[bool] = True
    uses: Literal["solve"] = "solve"

    async def solve(self, problem: BareProblem, kit: Kit) -> list[Solution]:
        """One completion."""
        [reply] = await kit.ask()
        return [kit.solution(reply)]

    async def solve_all(self, problem: BareProblem, kit: Kit, runs: range) -> list[list[Solution]]:
        """One request; sample i has the same stream whatever the number of samples is."""
        return [[kit.solution(reply)] for reply in await kit.ask(None, len(runs), first=runs.start)]


async def solve(
    problem: Problem, lm: LM, n: int, sampling: Sampling, codec: StepCodec, task: Task, *, first: int = 0
) -> list[Solution]:
    """n graded solutions, in sample order, the first of them with index `first`. Grading runs in a thread, so a slow
    checker does not block the engine."""
    prompt = codec.prompt_ids(problem.question)
    samples = await lm.generate(prompt, n, replace(sampling, stop=codec.format.task.ends), first=first)
    return await asyncio.to_thread(grade_samples, problem, tuple(prompt), samples, sampling, codec, task, first=first)


def solve_greedily(
    engine: Engine, problems: Iterable[Problem], codec: StepCodec, task: Task, *, max_tokens: int
) -> list[bool]:
    """Whether the greedy solution of each problem is correct, in the order of completion. Use it only for a rate."""
    greedy = Sampling(max_tokens=max_tokens, temperature=0.0)

    async def program(problem: Problem, lm: LM) -> bool:
        [solution] = await solve(problem, lm, 1, greedy, codec, task)
        return solution.verdict is Verdict.CORRECT

    return [right for _, right in run_programs(engine, problems, program, seed=0, key=_id, in_flight=512)]


def _id(problem: Problem) -> str:
    return problem.id


def grade_samples(
    problem: Problem,
    prompt: tuple[int, ...],
    samples: Sequence[Sample],
    sampling: Sampling,
    codec: StepCodec,
    task: Task,
    *,
    first: int = 0,
) -> list[Solution]:
    """Samples that continue a prompt's ids, as solutions with their verdicts."""
    asked = codec.prompt_text(problem.question), prompt, ()
    replies = [read_reply(sample, codec, asked, i, sampling.temperature) for i, sample in enumerate(samples, first)]
    return [graded(problem, ungraded(problem, reply), task) for reply in replies]
