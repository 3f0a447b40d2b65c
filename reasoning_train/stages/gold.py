"""`gold`: the worked solutions that a task ships, as solution rows. Implicit: `${task.train.gold}` makes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from data_gen.format import TaskFormat
from data_gen.records.problem import Problem
from data_gen.records.segment import Kind, Segment
from data_gen.records.solution import Solution
from data_gen.records.verdict import Verdict
from data_gen.tasks import Task
from reasoning_train.api.refs import ProblemsRef
from reasoning_train.api.stage import Context, StageConfig, gate, rows_of, stage
from reasoning_train.store.inputs import load_task, read_problems
from reasoning_train.store.rows import write_rows


class GoldConfig(StageConfig):
    """Which problems, and whether their worked steps are used."""

    problems: ProblemsRef
    steps: Literal["required", "optional", "none"] = "required"
    """`required`: problems without worked steps are dropped and counted. `optional`: their row is the answer alone.
    `none`: every row is the answer alone, for an arm that learns answers without reasoning."""


@stage("gold", version=1, outputs={"data": "solutions"}, seeded=False, heavy=False)
def gold(config: GoldConfig, ctx: Context) -> None:
    """Write one row per worked solution of problems with gold and, unless the config says otherwise, gold steps; count
    the others as dropped."""
    source = ctx.input(config.problems)
    rows = _rows(read_problems(source), load_task(source), config, ctx)
    n = write_rows(ctx.output("data"), kind="solutions", rows=rows)
    missing = "gold and worked steps" if config.steps == "required" else "gold"
    gate(
        n > 0,
        f"{config.problems}: no problem has {missing}, so there is nothing to imitate. Map `answer` and `steps` in the "
        "task, start from a pretrained model, or learn answers alone (`{uses: gold, steps: none}`).",
    )


gold.estimate(rows_of("problems"))


def _rows(problems: Iterator[Problem], task: Task, config: GoldConfig, ctx: Context) -> Iterator[dict[str, Any]]:
    for problem in problems:
        ctx.count("in")
        if problem.gold is None or (config.steps == "required" and not problem.gold_steps):
            ctx.count("dropped.no_gold" if problem.gold is None else "dropped.no_steps")
            continue
        worked = [()] if config.steps == "none" else [problem.gold_steps, *problem.more_steps]
        ctx.count("out", len(worked))
        for i, steps in enumerate(worked):
            yield gold_solution(problem, problem.gold, task, steps, sample=-1 - i).to_row()


def gold_solution(
    problem: Problem, answer: str, task: Task, steps: Sequence[str] | None = None, sample: int = -1
) -> Solution:
    """The solution row of one worked solution, by default the first. Its token ids come later, from the policy that is
    trained on it. Without steps, `steps_ok` is None."""
    worked = problem.gold_steps if steps is None else steps
    checked = task.check_steps(problem, worked) if worked else None
    return Solution(
        problem_id=problem.id,
        sample=sample,
        prompt=problem.question,
        segments=_segments(worked, answer, task.format),
        answer=answer,
        verdict=Verdict.CORRECT,
        finish="gold",
        reason="gold",
        steps_ok=all(checked) if checked is not None else None,
        group=problem.group,
        difficulty=problem.difficulty,
        question=problem.question,
        tags=problem.tags,
    )


def _segments(steps: Sequence[str], answer: str, fmt: TaskFormat) -> tuple[Segment, ...]:
    worked = tuple(Segment(kind=Kind.STEP, text=step + fmt.step_delimiter) for step in steps)
    return (*worked, Segment(kind=Kind.ANSWER, text=fmt.answer_mark + answer))
