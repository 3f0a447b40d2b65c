"""`import_steps`: solutions whose steps were labelled right or wrong elsewhere (ProcessBench, PRM800K, CHAMP, ...).

Solutions without an error are kept: what says "no error" is a label, too.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from data_gen.errors import UserError
from data_gen.records.problem import Problem
from data_gen.records.segment import Kind, Segment
from data_gen.records.solution import Solution
from data_gen.records.verdict import Answer, Grade, Verdict
from data_gen.sources.division import normalised
from data_gen.sources.rows import file_source
from data_gen.step_forms import STEP_FORMS, LabelledSteps
from data_gen.tasks import Task
from reasoning_train.api.refs import ProblemsRef
from reasoning_train.api.stage import Context, Gate, Made, StageConfig, gate, stage
from reasoning_train.store.inputs import load_task, read_problems
from reasoning_train.store.rows import write_rows

if TYPE_CHECKING:
    from data_gen.step_forms import StepForm

    AnyForm = StepForm
else:
    AnyForm = STEP_FORMS.union()

LOOKED_AT = 100
"""Number of rows of the file that are read when a recipe loads."""
MOST_BARS = 20
"""Steps with a bar of their own in the report."""
NO_ERROR, LATER, OPEN = "no error", "later", "open"
"""Further bars. `open`: the labels do not say."""
Found = dict[str, list[tuple[LabelledSteps, dict[str, str]]]]
"""Problem, by its id or the normal form of its question -> its labelled solutions with their tags, in the file's
order."""


class ImportStepsConfig(StageConfig):
    """Which file, in which form, about which problems."""

    problems: ProblemsRef
    """The problems that the solutions belong to: a task that reads the same file, or another one with the same
    questions or ids. Rows about other problems, such as those of another split, are left out and counted."""
    path: Path
    """JSON Lines or Parquet."""
    form: AnyForm
    """How a row writes its steps and labels: `{uses: listed, first_wrong: label}`."""
    min_rows: Annotated[int, Gate()] = Field(1, ge=1)


@stage("import_steps", version=1, outputs={"data": "solutions"}, seeded=False, heavy=False)
def import_steps(config: ImportStepsConfig, ctx: Context) -> None:
    """One row per labelled solution, as text, in the order of the problems. An answer that the file gives is graded."""
    source = ctx.input(config.problems)
    task, found, seen = load_task(source), _read(config, ctx), Counter[str]()
    n = write_rows(
        ctx.output("data"), kind="solutions", rows=_rows(read_problems(source), task, found, config.form, seen)
    )
    ctx.count("out", n)
    ctx.count("dropped.other_problem", sum(map(len, found.values())))
    ctx.metric("labels", _bars(seen))
    gate(
        n >= config.min_rows,
        f"import_steps: {n} solutions, fewer than min_rows={config.min_rows}: {config.path} has "
        f"{sum(map(len, found.values())):,} labelled solutions of other problems than those of {config.problems}. Give "
        "the problems of the same source, and name the column by which a row names its problem in `form.question` or "
        "`form.id`.",
    )


@import_steps.check
def readable(config: ImportStepsConfig, made: Made) -> Iterator[tuple[str, str]]:
    """The first rows of the file have the form. A missing file is reported elsewhere."""
    if config.path.is_file():
        try:
            for place, row in itertools.islice(file_source(config.path).rows(), LOOKED_AT):
                config.form.problem_of(row, place)
                config.form.read(row, place)
        except UserError as error:
            yield "form", str(error)


def _read(config: ImportStepsConfig, ctx: Context) -> Found:
    """All labelled solutions of the file. One without steps is left out and counted."""
    found: Found = {}
    for place, row in file_source(config.path).rows():
        ctx.count("in")
        name = config.form.problem_of(row, place)
        solutions = config.form.read(row, place)
        if not solutions:
            ctx.count("dropped.no_solution")
        for one, tags in solutions:
            if not one.steps:
                ctx.count("dropped.no_steps")
                continue
            found.setdefault(name if config.form.id else normalised(name), []).append((one, dict(tags)))
    return found


def _rows(
    problems: Iterator[Problem], task: Task, found: Found, form: StepForm, seen: Counter[str]
) -> Iterator[dict[str, Any]]:
    """The rows of all problems. What they use is taken out of `found`."""
    for problem in problems:
        key = problem.id if form.id else normalised(problem.question)
        for sample, (one, tags) in enumerate(found.pop(key, [])):
            made = _solution(problem, task, one, tags, sample)
            seen[_label(made.first_wrong, len(one.steps))] += 1
            yield made.to_row()


def _label(first_wrong: int | None, steps: int) -> str:
    """What the labels of a solution say, for a bar of the report."""
    if first_wrong is None:
        return OPEN
    if first_wrong == steps:
        return NO_ERROR
    return f"step {first_wrong + 1}" if first_wrong < MOST_BARS else LATER


def _bars(seen: Counter[str]) -> dict[str, Any]:
    """`{"title": ..., "bars": [[label, count], ...]}`, which the report draws."""
    steps = [f"step {i + 1}" for i in range(MOST_BARS)]
    last = max((i for i, name in enumerate(steps) if seen[name]), default=-1) if not seen[LATER] else MOST_BARS - 1
    named = [*steps[: last + 1], *[LATER] * bool(seen[LATER]), NO_ERROR, *[OPEN] * bool(seen[OPEN])]
    return {"title": "first wrong steps", "bars": [[name, seen[name]] for name in named]}


def _solution(problem: Problem, task: Task, one: LabelledSteps, tags: dict[str, str], sample: int) -> Solution:
    fmt = task.format
    segments = [Segment(kind=Kind.STEP, text=_one_step(step, fmt.step_delimiter)) for step in one.steps]
    if one.answer is not None:
        segments.append(Segment(kind=Kind.ANSWER, text=fmt.answer_mark + one.answer))
    ungraded = Grade(Verdict.UNVERIFIABLE, "no_answer")
    grade = ungraded if one.answer is None else task.grade(problem, Answer(one.answer))
    return Solution(
        problem_id=problem.id,
        sample=sample,
        prompt=problem.question,
        segments=tuple(segments),
        answer=one.answer,
        verdict=grade.verdict,
        finish="gold",
        reason=grade.reason,
        score=grade.score,
        step_labels=one.labels,
        group=problem.group,
        difficulty=problem.difficulty,
        question=problem.question,
        tags={**problem.tags, **tags},
    )


def _one_step(text: str, delimiter: str) -> str:
    """A step with its delimiter, which may stand nowhere inside it: its white space becomes single spaces there."""
    return (" ".join(text.split()) if delimiter in text else text) + delimiter
