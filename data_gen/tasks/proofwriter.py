"""`proofwriter`: rows as `jsonl` reads them, with the depth of every question derived from its theory (arXiv
2012.13048)."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from data_gen.grading.theories import depth_of
from data_gen.records.problem import Problem
from data_gen.sources.fields import read_column
from data_gen.sources.rows import Row
from data_gen.sources.values import text_of
from data_gen.tasks import TASKS
from data_gen.tasks.jsonl import Jsonl


@TASKS.register("proofwriter")
class ProofWriter(Jsonl):
    """Every problem has a tag `depth`: how many rules deep the shortest proof of its statement or of the contrary is,
    `unknown` if neither follows, `unread` if a sentence of the theory has another form. All other settings are those of
    `jsonl`."""

    theory: str = Field("context", min_length=1)
    """Column of the facts and rules."""
    statement: str = Field("question", min_length=1)
    """Column of the statement, which may stand behind a question mark."""

    def _problem(self, row: Row, place: str, part: str, number: int) -> Problem:
        problem = super()._problem(row, place, part, number)
        theory = read_column(text_of, row, self.theory, "task.theory", place)
        statement = read_column(text_of, row, self.statement, "task.statement", place)
        try:
            depth = depth_of(theory, statement.rpartition("?")[2])
            found = "unknown" if depth is None else str(depth)
        except ValueError:
            found = "unread"
        return replace(problem, tags={**problem.tags, "depth": found})
