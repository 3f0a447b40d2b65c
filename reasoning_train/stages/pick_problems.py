"""`pick_problems`: selects problems by solve rate, difficulty, tags, or the outcome in a table.

medium:  {uses: pick_problems, problems: "${task.explore}", solutions: "${stages.sample}", solved: [0.25, 0.625]}
algebra: {uses: pick_problems, problems: "${task.train}", tags: {subject: [algebra, prealgebra]}, difficulty: [1, 3]}
missed:  {uses: pick_problems, problems: "${task.train}", table: "${stages.eval}", row: base, outcome: wrong}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated, Literal

from pydantic import Field, model_validator

from data_gen.errors import UserError
from data_gen.records.problem import Problem
from reasoning_train.api.refs import ProblemsRef, SolutionsRef, TableRef
from reasoning_train.api.stage import Context, Gate, Input, Made, StageConfig, gate, rows_of, stage
from reasoning_train.evaluation.groups import Where, check_known
from reasoning_train.evaluation.groups import fits as suits
from reasoning_train.stages.fits import other_problems, row_misfit
from reasoning_train.store.inputs import pass_on_tasks, read_problems
from reasoning_train.store.rows import Rows, write_rows

Range = tuple[float, float]
"""(low, high), both included."""


class PickProblemsConfig(StageConfig):
    """The conditions that a problem must meet; all of them apply."""

    problems: ProblemsRef
    solutions: SolutionsRef | None = None
    solved: Range | None = None
    """Share of the problem's verifiable `solutions` that are right. Problems without any are dropped."""
    difficulty: Range | None = None
    """Problems of unknown difficulty are dropped."""
    tags: Where = {}
    """Only problems with these tags: `{subject: [algebra, geometry], level: 3}`."""
    table: TableRef | None = None
    """An evaluation on these problems."""
    row: str | None = None
    """The policy or strategy of the table. Needed if it has several."""
    outcome: Literal["right", "wrong"] | None = None
    """Whether the answer in the table is right or wrong. Problems whose answer is neither, such as a tied vote, are
    dropped."""
    min_rows: Annotated[int, Gate()] = Field(1, ge=1)

    @model_validator(mode="after")
    def _complete(self) -> PickProblemsConfig:
        for first, second in (("solutions", "solved"), ("table", "outcome")):
            if (getattr(self, first) is None) != (getattr(self, second) is None):
                raise ValueError(f"{first}, {second}: they belong together; give both or neither")
        if self.row is not None and self.table is None:
            raise ValueError("row: it names a row of `table`, which is missing; give a table or remove `row`")
        for name in ("solved", "difficulty"):
            low, high = getattr(self, name) or (0.0, 1.0)
            if low > high or (name == "solved" and not (low >= 0 and high <= 1)):
                within = " within 0 and 1" if name == "solved" else ""
                raise ValueError(f"{name}: expected [low, high] with low <= high{within}, got {[low, high]}")
        if not (self.solved or self.difficulty or self.tags or self.outcome):
            raise ValueError("give at least one of solved, difficulty, tags and outcome")
        return self


@stage("pick_problems", version=1, outputs={"data": "problems"}, seeded=False, heavy=False, carries="problems")
def pick_problems(config: PickProblemsConfig, ctx: Context) -> None:
    """Keep the problems that meet all conditions, in order; count each dropped problem by its first failed
    condition."""
    source, out = ctx.input(config.problems), ctx.output("data")
    check_known("tags", config.tags, read_problems(source))
    tests = list(_tests(config, ctx))
    n = write_rows(out, "problems", (p.to_row() for p in _picked(read_problems(source), tests, ctx)))
    gate(
        n >= config.min_rows,
        f"pick_problems: {n} problems of {config.problems} are left, fewer than min_rows={config.min_rows}. "
        "Relax the conditions; the manifest's counts say which one dropped most problems.",
    )
    pass_on_tasks(source, out, ctx)


@pick_problems.check
def fits(config: PickProblemsConfig, made: Made) -> Iterator[tuple[str, str]]:
    """The solutions answer these problems, and the table has the row."""
    if config.solutions:
        for message in other_problems(made, config.solutions, config.problems):
            yield "solutions", message
    if config.table and (message := row_misfit(made, config.row, config.table)):
        yield "row", message


pick_problems.estimate(rows_of("problems"))


Test = tuple[str, Callable[[Problem], bool]]
"""(counter name of problems that fail, the test)."""


def _tests(config: PickProblemsConfig, ctx: Context) -> Iterator[Test]:
    if config.difficulty:
        low, high = config.difficulty
        yield "difficulty", lambda p: p.difficulty is not None and low <= p.difficulty <= high
    for tag, wanted in config.tags.items():
        yield f"tag.{tag}", partial(_suits, {tag: wanted})
    if config.solutions and config.solved:
        yield from _solved(ctx.input(config.solutions), config.solved)
    if config.table and config.outcome:
        outcomes = _outcomes(ctx.input(config.table), config)
        yield "no_outcome", lambda p: p.id in outcomes
        yield "outcome", lambda p: outcomes[p.id] == (config.outcome == "right")


def _suits(where: Where, problem: Problem) -> bool:
    return suits(where, problem.tags, problem.difficulty)


def _solved(source: Input, wanted: Range) -> Iterator[Test]:
    right, verifiable = Counter[str](), Counter[str]()
    for row in Rows(source.path, ["problem_id", "verdict"]):
        right[row["problem_id"]] += row["verdict"] == "correct"
        verifiable[row["problem_id"]] += row["verdict"] != "unverifiable"
    low, high = wanted
    yield "no_solutions", lambda p: verifiable[p.id] > 0
    yield "solved", lambda p: low <= right[p.id] / verifiable[p.id] <= high


def _outcomes(source: Input, config: PickProblemsConfig) -> dict[str, bool]:
    """Problem id -> whether the row's answer is right, for answers that are right or wrong."""
    from reasoning_train.evaluation.names import row_problem

    found: dict[str, dict[str, bool]] = {}
    for row in Rows(source.path, ["policy", "problem_id", "verdict", "accuracy"]):
        outcomes = found.setdefault(row["policy"], {})
        if row["verdict"] != "unverifiable" and row["accuracy"] in (0.0, 1.0):
            outcomes[row["problem_id"]] = row["accuracy"] == 1.0
    if message := row_problem(config.row, list(found), str(config.table)):
        raise UserError(f"pick_problems: row: {message}")
    return found[config.row or next(iter(found))]


def _picked(problems: Iterator[Problem], tests: list[Test], ctx: Context) -> Iterator[Problem]:
    for problem in problems:
        ctx.count("in")
        failed = next((name for name, test in tests if not test(problem)), None)
        ctx.count(f"dropped.{failed}" if failed else "out")
        if not failed:
            yield problem
