"""Grades recorded generations: rows of a file that hold what any model said beside gold, made by any tool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from data_gen.records.problem import Problem
from data_gen.records.verdict import Answer, Grade, Verdict
from data_gen.sources.fields import FieldMap, check_column, read_column
from data_gen.sources.rows import Row, RowSource
from data_gen.sources.values import text_of
from data_gen.tasks import Task
from data_gen.tasks.jsonl import Jsonl
from reasoning_train.evaluation.intervals import Estimate, score_interval

CUT = frozenset({"length", "max_tokens", "max_length", "max_output_tokens", "yes", "true"})
"""What the column that says how a generation ended has for one that a limit cut. JSON's true reads as `yes`."""


@dataclass(frozen=True, slots=True)
class RecordedColumns:
    """Where a row has what, each a dotted path: `RecordedColumns("6b.solution", "answer")`."""

    prediction: str
    gold: str
    finish: str | None = None
    """How the generation ended. None: not known, and nothing counts as cut."""


@dataclass(frozen=True, slots=True)
class GradedRow:
    """One row with its verdict."""

    place: str
    """`FILE:line`, or `FILE, row n` of a Parquet file."""
    gold: str | None
    answer: str | None
    grade: Grade
    beside: Mapping[str, float]
    """The scores of the task's further graders."""
    cut: bool

    def to_json(self) -> dict[str, Any]:
        """What programs read, one object a row."""
        verdict = {"verdict": str(self.grade.verdict), "answer": self.answer, "gold": self.gold}
        more = {"reason": self.grade.reason, "score": self.grade.score, "cut": self.cut, **self.beside}
        return {"row": self.place, **verdict, **more}


def grade_rows(source: RowSource, task: Task, columns: RecordedColumns) -> Iterator[GradedRow]:
    """Every row of a file, graded by a task whose own problems are not needed.

    A prediction that is null is no answer, and neither is one that was cut, except for graders that give another tool's
    numbers. UserError, with the row's place, for a row that lacks a column or whose values are no text.
    """
    fields = FieldMap()
    for number, (place, row) in enumerate(source.rows()):
        if number == 0:
            for option, column in (("prediction", columns.prediction), ("gold", columns.gold)):
                check_column(row, column, f"--{option}", place)
            if columns.finish:
                check_column(row, columns.finish, "--finish", place)
            fields = (task.fields if isinstance(task, Jsonl) else fields).beside(columns.gold, row)
        yield _graded(row, place, task, columns, fields)


def _graded(row: Row, place: str, task: Task, columns: RecordedColumns, fields: FieldMap) -> GradedRow:
    problem = _problem(row, place, task, fields)
    text = _text(row, columns.prediction, "--prediction", place)
    cut = columns.finish is not None and _text(row, columns.finish, "--finish", place).lower() in CUT
    answer = None if cut and task.grader.finds_with is None else task.format.extract_answer(text)
    beside = task.grade_beside(problem, text, cut=cut)
    return GradedRow(place, problem.gold, answer, task.grade(problem, Answer(answer)), beside, cut)


def _problem(row: Row, place: str, task: Task, fields: FieldMap) -> Problem:
    """What a grader needs to know of a row."""
    options = fields.options_of(row, place)
    mark = task.answer_after if isinstance(task, Jsonl) else None
    gold, _ = fields.gold_and_steps(row, place, None, as_json=task.grader.keeps_lists)
    if gold is not None and mark is not None:
        gold = _behind(gold, mark)
    if options.texts and gold is not None:
        gold = options.gold(gold) if mark else fields.letter(row, options, place)
    return Problem(
        id=place,
        question="",
        gold=gold,
        group=place,
        split="",
        choices=options.texts,
        labels=options.own,
        payload=fields.payload_of(row, place),
    )


def _behind(gold: str, mark: str) -> str | None:
    """The answer behind the last mark. One line without the mark is the answer itself, as other tools write it; a
    longer text is a solution whose answer cannot be found."""
    _, found, after = gold.rpartition(mark)
    return (after.strip() or None) if found else gold if "\n" not in gold else None


def _text(row: Row, column: str, option: str, place: str) -> str:
    """A column's text; empty for null."""
    return read_column(lambda value: "" if value is None else text_of(value), row, column, option, place)


@dataclass(slots=True)
class Tally:
    """Counts graded rows."""

    scores: dict[str, list[float]] = field(default_factory=lambda: {"accuracy": []})
    """Metric -> its values: `accuracy`, and the scores of further graders."""
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    no_answer: int = 0
    cut: int = 0
    unverifiable: str = ""
    """Where the first row is that cannot be verified."""

    def add(self, row: GradedRow) -> None:
        """Count one row."""
        self.verdicts[row.grade.verdict] += 1
        self.cut += row.cut
        if row.grade.verdict is Verdict.UNVERIFIABLE:
            self.unverifiable = self.unverifiable or f"{row.place} ({row.grade.reason})"
        else:
            self.scores["accuracy"].append(float(row.grade.verdict is Verdict.CORRECT))
            self.no_answer += row.answer is None
        for name, score in row.beside.items():
            self.scores.setdefault(name, []).append(score)

    @property
    def rows(self) -> int:
        """How many rows were counted."""
        return self.verdicts.total()

    def estimates(self) -> dict[str, tuple[Estimate, int]]:
        """Metric -> its mean with the score interval, and how many rows it is the mean of. Metrics without rows are
        left out."""
        known = {name: np.array(values) for name, values in self.scores.items() if values}
        return {name: (score_interval(values, (0.0, 1.0)), len(values)) for name, values in known.items()}
