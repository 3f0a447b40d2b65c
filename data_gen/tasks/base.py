"""The task interface: named splits of problems, a grader, an optional step checker, and the task half of the Format.

A task is a frozen pydantic model. Its fields are its configuration in the recipe; its methods are the behaviour.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import model_validator

from data_gen.format import TaskFormat
from data_gen.graders.auto import Auto
from data_gen.grading.equality import classes
from data_gen.measures import MEASURES, Direction, Measure
from data_gen.measures.base import is_taken
from data_gen.records.problem import Problem
from data_gen.records.segment import Segment, said
from data_gen.records.solution import Solution
from data_gen.records.verdict import Answer, Grade
from data_gen.registry import Piece, Unkeyed
from data_gen.tasks.beside import AnyGrader, AnySideGrader

if TYPE_CHECKING:
    AnyMeasure = Measure
else:
    AnyMeasure = MEASURES.union()


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the problems of a split come from: a file, a split of a Hub dataset, a generator with its settings."""

    source: str
    """The path of a local file, or a text that is the same for the same source."""
    split: str
    """The split's own name at its source, e.g. `test` of a Hub dataset that serves as `train`."""
    dealt: str = ""
    """What deals the source to splits; empty if it is one split as a whole."""

    def overlaps(self, other: Origin) -> bool:
        """Whether both may have a problem in common: they share the source, and no one deal keeps them apart."""
        apart = bool(self.dealt) and self.dealt == other.dealt and self.split != other.split
        return self.source == other.source and not apart


class Task(Piece, ABC):
    """Base of all tasks. Modules of tasks import nothing heavy at top level (no datasets, no sympy)."""

    version: ClassVar[int] = 1
    """Bump it when problems or verdicts change for the same configuration. It is part of every key."""

    format: TaskFormat = TaskFormat()
    grader: AnyGrader = Auto()
    """The grader that decides the verdict: `grader: exact`, `grader: {uses: numeric, tolerance: 1e-3}`."""
    graders: Annotated[dict[str, AnySideGrader], Unkeyed()] = {}
    """Further graders by name. Each gives a column with its score: `{strict: exact, flexible: {grader: auto, extract:
    [last_number]}}`. Only evaluations read and key them, so problems, samples and models do not depend on them."""
    measures: Annotated[tuple[AnyMeasure, ...], Unkeyed()] = ()
    """Measures of a solution, e.g. `[steps, {uses: prefix_match, fields: [states, final]}]`; keyed as `graders` are."""

    @model_validator(mode="after")
    def _columns_have_one_name(self) -> Self:
        names = [
            *self.graders,
            *(name for measure in self.measures for name in (*measure.directions(), *measure.ratios())),
        ]
        twice = sorted({name for name in names if names.count(name) > 1 or is_taken(name)})
        if twice:
            raise ValueError(
                f"graders, measures: two columns of a table would be called {twice[0]!r}. Rename the grader, "
                "or leave one of the measures out"
            )
        return self

    @model_validator(mode="after")
    def _answers_are_found_one_way(self) -> Self:
        own = self.grader.finds_with
        if own is not None and self.format.extract != own:
            written = json.dumps([way.model_dump(mode="json") for way in own])
            raise ValueError(
                f"grader: {self.grader.uses!r} finds answers in its own way, and policies and votes would read others. "
                f"Name it in `graders`, or write `format: {{extract: {written}}}` as well"
            )
        return self

    templated: ClassVar[bool] = False
    """True: its problems share long runs of words without being the same problem."""

    @property
    def has_gold(self) -> bool:
        """Whether its problems have gold at all. Those of a source without gold can be sampled on."""
        return True

    @property
    def instant(self) -> bool:
        """Whether a verdict takes microseconds, so that grading needs no thread."""
        return self.grader.instant

    @property
    def runs_programs(self) -> bool:
        """Whether grading runs answers as programs."""
        return self.grader.runs_programs or any(beside.grader.runs_programs for beside in self.graders.values())

    @property
    def disjoint_splits(self) -> bool:
        """True: splits cannot share a problem by construction."""
        return False

    def origin(self, split: str) -> Origin:
        """Where the problems of a split come from. Two splits that may share problems, under whatever names, must have
        origins that overlap."""
        settings = self.model_dump(mode="json", exclude={"format", "grader", "graders", "measures"})
        deal, files = json.dumps(settings, sort_keys=True), list(self.files().values())
        return Origin(str(files[0]) if len(files) == 1 else deal, split, deal)

    @abstractmethod
    def splits(self) -> dict[str, int | None]:
        """Split names with their sizes. None: the size is known only after reading."""

    @abstractmethod
    def problems(self, split: str) -> Iterator[Problem]:
        """Problems of one split, streamed in a fixed order. UserError for an unknown or empty split."""

    def left_out(self, split: str) -> Mapping[str, int]:
        """How many rows of its source `problems(split)` leaves out, by reason."""
        return {}

    def look(self) -> None:
        """Look at the local files when a recipe loads: UserError for missing columns, first rows that cannot be read,
        and splits that are larger than their file. Cheap, and without torch."""

    def with_shots(self) -> Self:
        """The task with worked examples of its own problems in its format, if it asks for some. A recipe that loads
        calls it, so that the examples are part of what is keyed and stored."""
        return self

    def grade(self, problem: Problem, answer: Answer) -> Grade:
        """Verdict on an answer to a problem."""
        return self.grader.grade(problem, answer)

    def same(self, problem: Problem, one: str, other: str) -> bool:
        """Whether two answers are one, as the grader says. A task that overrides `grade` overrides this too."""
        return self.grader.same(problem, one, other)

    def classes(self, problem: Problem, answers: Iterable[str]) -> dict[str, int]:
        """The class of each distinct answer to a problem. Every vote and maj@k counts classes: an equivalence relation
        that does not depend on the order of the answers (`data_gen/grading/equality.py`)."""
        if type(self).same is not Task.same:  # the forms of the grader say nothing of a task's own equality
            return classes(answers, same=lambda one, other: self.same(problem, one, other))
        pairs = None if self.grader.forms_decide else lambda one, other: self.same(problem, one, other)
        return classes(answers, lambda answer: self.grader.canonical(problem, answer), pairs)

    def grade_solution(self, problem: Problem, segments: Sequence[Segment]) -> Grade:
        """Verdict on a whole solution. By default it is the verdict on the solution's answer, which is read neither
        from thoughts nor from tool outputs. Tasks with plans, proofs or programs override this method.

        Args:
            segments: The completion, typed. None at all stands for a solution that was cut: it has no answer.
        """
        return self.grade(problem, Answer(self.format.extract_answer(said(segments))))

    def measure(self, problem: Problem, solution: Solution) -> dict[str, float]:
        """Columns besides the verdict: first the scores of `graders`, then the columns of `measures`. A column is
        left out for a problem whose gold its side grader or measure cannot read."""
        found = self.grade_beside(problem, said(solution.segments), cut=solution.finish == "length")
        for measure in self.measures:
            found |= measure.of(self, problem, solution)
        return found

    def grade_beside(self, problem: Problem, text: str, *, cut: bool) -> dict[str, float]:
        """The score of each of `graders` for what a policy said. One that cannot read the gold is left out."""
        found = {}
        for name, beside in self.graders.items():
            graded = beside.grader.grade(problem, Answer(beside.answer(text, self.format, cut=cut)))
            if graded.score is not None:
                found[name] = graded.score
        return found

    def directions(self) -> dict[str, Direction]:
        """Every column that `measure` may return, with its better direction."""
        found = dict.fromkeys(self.graders, Direction.HIGHER)
        return found | {name: way for measure in self.measures for name, way in measure.directions().items()}

    def shares(self) -> frozenset[str]:
        """The columns of `directions` whose values lie between 0 and 1: scores, and those that measures name."""
        return frozenset(self.graders).union(*(measure.shares() for measure in self.measures))

    def ratios(self) -> dict[str, tuple[str, ...]]:
        """Columns of tables that are made of the sums of two others, as measures name them."""
        return {name: pair for measure in self.measures for name, pair in measure.ratios().items()}

    def check_steps(self, problem: Problem, steps: Sequence[str]) -> tuple[bool, ...] | None:
        """Exact verdict on every step. None if the task has no step checker."""
        return None

    def vocabulary(self) -> list[str] | None:
        """Every word, digit and mark that prompts and solutions consist of. None for open text."""
        return None

    def files(self) -> dict[str, Path]:
        """Local files that the problems come from, by field name. Their bytes enter the key."""
        return {}
