"""Replies as solution rows, and their verdicts. Only what runs programs grades; programs make rows without verdicts."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from data_gen.programs.ledger import Account
from data_gen.programs.replies import Reply
from data_gen.records.problem import Problem
from data_gen.records.segment import Kind
from data_gen.records.solution import Solution
from data_gen.records.verdict import Verdict
from data_gen.tasks import Task

NOTHING = Account()


class Asks(Protocol):
    """What a row takes from its problem before it is graded."""

    @property
    def id(self) -> str:
        """The problem's id."""

    @property
    def question(self) -> str:
        """Without any template."""


def ungraded(
    problem: Asks, reply: Reply, account: Account = NOTHING, *, chain: int | None = None, turn: int | None = None
) -> Solution:
    """The row of a reply before it is graded. Greedy ones have the number -1."""
    return Solution(
        problem_id=problem.id,
        sample=reply.index if reply.temperature > 0 else -1,
        prompt=reply.prompt,
        prompt_ids=reply.prompt_ids,
        asked=reply.asked,
        segments=reply.segments,
        answer=reply.answer,
        verdict=Verdict.UNVERIFIABLE,
        finish="stop" if reply.whole else "length",
        logprobs=reply.sample.logprobs,
        question=problem.question,
        temperature=reply.temperature,
        chain=chain,
        turn=turn,
        notes=account.notes,
        charges=account.charges,
        conversation=account.calls,
    )


def graded(problem: Problem, row: Solution, task: Task) -> Solution:
    """A row with its verdict, and what rows say of their problem."""
    grade = task.grade_solution(problem, row.segments if row.finish == "stop" else ())
    checked = task.check_steps(problem, [s.text.strip() for s in row.segments if s.kind is Kind.STEP])
    return replace(
        row,
        verdict=grade.verdict,
        reason=grade.reason,
        score=grade.score,
        steps_ok=all(checked) if checked is not None else None,
        group=problem.group,
        difficulty=problem.difficulty,
        tags=problem.tags,
    )
