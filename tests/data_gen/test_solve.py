"""The program behind sampling and evaluation, on scripted engines."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from data_gen.engines.base import LM, Request, Sample, Sampling
from data_gen.engines.programs import run_programs
from data_gen.engines.scripted import ScriptedEngine
from data_gen.format import Format, StepCodec, TaskFormat
from data_gen.graders.base import decided
from data_gen.programs.solve import solve, solve_greedily
from data_gen.records.problem import Problem
from data_gen.records.segment import Kind, Segment
from data_gen.records.solution import Solution
from data_gen.records.verdict import Grade
from data_gen.scorers.base import GrantedGold
from data_gen.tasks.base import Task
from data_gen.tasks.chain import Chain
from reasoning_train.models.words import word_tokenizer

TASK = Chain(uses="chain")
TOKENIZER = word_tokenizer(TASK.vocabulary())
CODEC = StepCodec(Format(), TOKENIZER)
PROBLEM = Problem(
    id="p",
    question="Ana has 12 coins. Ben has 8 more than Ana. How many has Ben?",
    gold="20",
    group="g",
    split="test",
    gold_steps=("12 + 8 = 20",),
    difficulty=1.0,
)


def ids(text: str, *, end: bool = True) -> list[int]:
    return TOKENIZER(text, add_special_tokens=False)["input_ids"] + [TOKENIZER.eos_token_id] * end


def solved(
    completion: list[int], n: int = 1, problem: Problem = PROBLEM, task: Task = TASK, **sampling: Any
) -> list[Solution]:
    async def program(item: Problem, lm: LM) -> list[Solution]:
        return await solve(item, lm, n, Sampling(**{"max_tokens": 40, **sampling}), CODEC, task)

    engine = ScriptedEngine(lambda prefix, seed: completion)
    [(_, solutions)] = run_programs(engine, [problem], program, seed=0, key=lambda p: p.id, in_flight=1)
    return solutions


def test_a_right_solution() -> None:
    first, second = solved(ids("12 + 8 = 20\nAnswer: 20"), n=2)
    assert (first.answer, first.verdict, first.finish, first.steps_ok) == ("20", "correct", "stop", True)
    assert (first.sample, second.sample) == (0, 1)
    assert first.prompt == PROBLEM.question + "\n"
    assert list(first.prompt_ids) == CODEC.prompt_ids(PROBLEM.question)
    assert first.steps == ("12 + 8 = 20",)
    assert len(first.logprobs) == len(first.token_ids)
    assert first.token_ids[-1] == TOKENIZER.eos_token_id
    assert (first.problem_id, first.group, first.difficulty) == ("p", "g", 1.0)


def test_a_right_answer_over_a_wrong_step() -> None:
    [solution] = solved(ids("12 + 9 = 20\nAnswer: 20"))
    assert (solution.verdict, solution.steps_ok) == ("correct", False)


def test_a_right_answer_without_steps_is_no_reasoning() -> None:
    [solution] = solved(ids("Answer: 20"))
    assert (solution.verdict, solution.steps_ok) == ("correct", False)


class Proofs(Chain):
    """A solution is right if it has two steps, whatever its answer."""

    def grade_solution(self, problem: Problem, segments: Sequence[Segment]) -> Grade:
        return decided(sum(one.kind is Kind.STEP for one in segments) == 2, "two steps")


def test_a_task_may_judge_the_whole_solution_when_sampling_and_in_trees() -> None:
    task = Proofs(uses="chain")
    gold = GrantedGold(task, CODEC)
    for text, right in (
        ("12 + 8 = 20\nAnswer: 20", False),
        ("12 + 8 = 20\n20 + 1 = 21\nAnswer: 21", True),
        ("Answer: 20", False),
    ):
        [solution] = solved(ids(text), task=task)
        assert (solution.verdict, solution.reason) == ("correct" if right else "wrong", "two steps")
        assert asyncio.run(gold.outcome(PROBLEM, ids(text))) == float(right)
    [cut] = solved(ids("12 + 8 = 20\n20 + 1 = 21\nAnswer: 21"), task=task, max_tokens=9)
    assert (cut.finish, cut.verdict) == ("length", "wrong")


def test_a_completion_cut_by_the_limit_has_no_answer() -> None:
    text = ids("12 + 8 = 20\nAnswer: 20", end=False)
    [solution] = solved([*text, *ids("0 . . .", end=False)], max_tokens=len(text))
    assert solution.text.endswith("Answer: 20")
    assert (solution.finish, solution.answer, solution.verdict) == ("length", None, "wrong")


def test_no_mark_no_answer() -> None:
    [solution] = solved(ids("12 + 8 = 20"))
    assert (solution.answer, solution.verdict) == (None, "wrong")


def test_without_gold_nothing_can_be_verified() -> None:
    [solution] = solved(ids("Answer: 20"), problem=Problem(id="p", question="Q?", gold=None, group="g", split="test"))
    assert (solution.verdict, solution.reason) == ("unverifiable", "no_gold")


def test_greedy_rows_have_sample_minus_one() -> None:
    assert [s.sample for s in solved(ids("Answer: 20"), temperature=0.0)] == [-1]


def test_greedy_accuracy_counts_each_problem_once() -> None:
    other = Problem(id="q", question="Ana has 7 coins. How many has Ana?", gold="7", group="q", split="test")
    table = {tuple(CODEC.prompt_ids(p.question)): ids("12 + 8 = 20\nAnswer: 20") for p in (PROBLEM, other)}
    assert sorted(solve_greedily(ScriptedEngine(table), [PROBLEM, other], CODEC, TASK, max_tokens=40)) == [False, True]


def test_a_text_that_ends_solutions_is_asked_for_and_becomes_the_end() -> None:
    codec = StepCodec(Format(task=TaskFormat(ends=("\n",), step_delimiter=".")), TOKENIZER)
    asked: list[Sampling] = []

    class Asked(ScriptedEngine):
        async def generate(self, request: Request) -> list[Sample]:
            asked.append(request.sampling)
            return await super().generate(request)

    async def program(item: Problem, lm: LM) -> list[Solution]:
        return await solve(item, lm, 1, Sampling(max_tokens=40), codec, TASK)

    engine = Asked(lambda prefix, seed: ids("Answer: 20\n", end=False))
    [(_, [solution])] = run_programs(engine, [PROBLEM], program, seed=0, key=lambda p: p.id, in_flight=1)
    assert [sampling.stop for sampling in asked] == [("\n",)]
    assert (solution.answer, solution.verdict, solution.finish) == ("20", "correct", "stop")
