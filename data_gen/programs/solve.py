"""Sample worked solutions to a problem and grade them. Sampling, evaluation and early stopping use this program."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace

from data_gen.engines.base import LM, Engine, Sample, Sampling
from data_gen.engines.programs import run_programs
from data_gen.format import StepCodec
from data_gen.records.problem import Problem
from data_gen.records.segment import Kind
from data_gen.records.solution import Solution
from data_gen.records.verdict import Verdict
from data_gen.tasks import Task


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
    prompt_text = codec.prompt_text(problem.question)
    return [
        _solution(i, sample.until(codec.end_ids), problem, prompt, prompt_text, sampling, codec, task)
        for i, sample in enumerate(samples, first)
    ]


def _solution(
    index: int,
    sample: Sample,
    problem: Problem,
    prompt: tuple[int, ...],
    prompt_text: str,
    sampling: Sampling,
    codec: StepCodec,
    task: Task,
) -> Solution:
    segments = codec.split(sample.token_ids, sample.thought)
    # A completion cut by the length limit has no final answer, whatever number it happens to hold.
    answer = codec.answer(sample.token_ids, sample.thought) if sample.finish == "stop" else None
    grade = task.grade_solution(problem, segments if sample.finish == "stop" else ())
    checked = task.check_steps(problem, [s.text.strip() for s in segments if s.kind is Kind.STEP])
    return Solution(
        problem_id=problem.id,
        sample=index if sampling.temperature > 0 else -1,
        prompt=prompt_text,
        segments=segments,
        answer=answer,
        verdict=grade.verdict,
        finish=sample.finish,
        reason=grade.reason,
        score=grade.score,
        steps_ok=all(checked) if checked is not None else None,
        prompt_ids=prompt,
        logprobs=sample.logprobs,
        group=problem.group,
        difficulty=problem.difficulty,
        question=problem.question,
        tags=problem.tags,
        temperature=sampling.temperature,
    )
