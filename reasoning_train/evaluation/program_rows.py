"""Rows of `evaluate`: what a run of a program says of a problem, whole or after some of its turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from data_gen.programs.base import PromptProgram
from data_gen.programs.running import FinishedRun
from data_gen.records.problem import Problem
from data_gen.tasks import Task
from reasoning_train.evaluation.votes import classes_of
from reasoning_train.store.table_row import TableRow, of_problem, of_samples


@dataclass(frozen=True)
class EvaluatedRuns:
    """The run that answers a problem, and further runs for pass@k and maj@k."""

    problem: Problem
    best: FinishedRun
    drawn: Sequence[FinishedRun]
    task: Task
    program: PromptProgram

    @cached_property
    def common(self) -> dict[str, Any]:
        """The fields that all rows of the problem share."""
        samples = [run.shown(None) for run in self.drawn]
        return {
            **of_problem(self.problem),
            "sampled_solutions": tuple(one.text for one in samples),
            **of_samples(samples, classes_of(self.task, self.problem, (one.answer for one in samples))),
        }

    def row(self, name: str, turns: int | None) -> TableRow:
        """The row `name`, of the answer after so many turns; None: of the whole run."""
        shown, rows = self.best.shown(turns), self.best.upto(turns)
        own = {} if self.program.plain else self.program.measure(rows)
        return TableRow(
            policy=name,
            verdict=str(shown.verdict),
            accuracy=None if shown.verdict == "unverifiable" else float(shown.verdict == "correct"),
            cut=sum(row.finish == "length" for row in rows) / len(rows),
            steps_ok=shown.steps_ok,
            answer=shown.answer,
            measures={**own, **self.task.measure(self.problem, shown)},
            solution=shown.text,
            conversation=tuple(call for row in rows for call in row.conversation),
            **self._cost(turns),
            **self.common,
        )

    def _cost(self, turns: int | None) -> dict[str, Any]:
        if self.program.plain:
            return {"strategy": "greedy", "tokens": len(self.best.shown(None).token_ids)}
        charge = self.best.charge(turns)
        strategy = self.program.strategy
        return {
            "strategy": strategy if turns is None else f"{strategy}, {turns} of its turns",
            "tokens": charge.generated + charge.scored + charge.read,
            "generated_tokens": charge.generated,
            "scored_tokens": charge.scored,
            "read_tokens": charge.read,
            "calls": charge.calls,
        }
