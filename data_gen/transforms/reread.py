"""Reads a changed solution again: its answer, the verdict on it, and whether its steps are right."""

from __future__ import annotations

from dataclasses import replace

from data_gen.records.problem import Problem
from data_gen.records.segment import said
from data_gen.records.solution import Solution
from data_gen.tasks.base import Task


def reread(row: Solution, problem: Problem, task: Task) -> Solution:
    """The row with the answer that its text has now, and with the task's verdicts on it.

    A text that still gives the same answer keeps the verdict, unless the task judges whole solutions. One that was cut
    by the token limit has no answer, whatever its text holds.
    """
    cut = row.finish == "length"
    answer = None if cut else task.format.extract_answer(said(row.segments))
    steps = task.check_steps(problem, row.steps)
    row = replace(row, steps_ok=all(steps) if steps else None)
    if answer == row.answer and type(task).grade_solution is Task.grade_solution:
        return row
    grade = task.grade_solution(problem, () if cut else row.segments)
    return replace(row, answer=answer, verdict=grade.verdict, reason=grade.reason, score=grade.score)
