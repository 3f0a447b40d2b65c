"""Worked examples for prompts (few-shots), taken from the problems of a split."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field

from data_gen.conventions import Example, TaskFormat
from data_gen.errors import UserError
from data_gen.records.problem import Problem


class Shots(BaseModel):
    """`shots: {n: 8}` with `split: {shots: 8, dev: 200, train: null}`: the prompts show the first problems of the split
    that have worked steps and gold, in the order of their source."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    n: int = Field(4, ge=1)
    """How many."""
    split: str = "shots"
    """Which split they are from. One of its own keeps them out of what is sampled on and evaluated."""


def examples_of(problems: Iterable[Problem], shots: Shots, fmt: TaskFormat) -> tuple[Example, ...]:
    """Questions with their worked steps and the answer line. UserError if there are not enough, or if the format would
    not find the answer in one."""
    found = list[Example]()
    for problem in problems:
        if problem.gold is None or not problem.gold_steps:
            continue
        steps = "".join(step + fmt.step_delimiter for step in problem.gold_steps)
        found.append(Example(question=problem.question, solution=f"{steps}{fmt.answer_mark}{problem.gold}"))
        if fmt.extract_answer(found[-1].solution) is None:
            raise UserError(
                f"task.shots: format.extract finds no answer behind {fmt.answer_mark!r}, with which worked examples "
                "end. Add `mark` to it, or write format.examples yourself."
            )
        if len(found) == shots.n:
            return tuple(found)
    raise UserError(
        f"task.shots.n: {shots.n} examples, but the split {shots.split!r} has {len(found)} problems with worked steps "
        "and gold. Ask for fewer, make the split larger, or name the steps' column in fields.steps."
    )
