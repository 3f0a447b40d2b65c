"""The task of problems from several tasks. Each problem is graded by its own task.

No recipe names it. Stage `concat` merges problems of several tasks, and `load_task` then opens this task. A stage that
grades does not know about the merge.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from pydantic import SerializeAsAny

from data_gen.errors import UserError
from data_gen.measures import Direction
from data_gen.records.problem import Problem
from data_gen.records.segment import Segment
from data_gen.records.solution import Solution
from data_gen.records.verdict import Answer, Grade
from data_gen.tasks.base import Task


class Merged(Task):
    """`Merged(members={"": gsm8k, "math": math}, format=gsm8k.format)`; every member has the same Format."""

    uses: Literal["merged"] = "merged"
    members: Mapping[str, SerializeAsAny[Task]]
    """Name of a task (`Problem.task`) -> the task."""

    def of(self, problem: Problem) -> Task:
        """The task that a problem comes from. UserError if no member has this name."""
        if problem.task not in self.members:
            raise UserError(
                f"Problem {problem.id!r} comes from task {problem.task!r}, which its problem set does not list; it "
                f"lists {', '.join(map(repr, self.members))}. Make the problem set again."
            )
        return self.members[problem.task]

    @property
    def disjoint_splits(self) -> bool:
        """True if it is true of every member."""
        return all(task.disjoint_splits for task in self.members.values())

    @property
    def has_gold(self) -> bool:
        """True if it is true of any member."""
        return any(task.has_gold for task in self.members.values())

    @property
    def instant(self) -> bool:
        """True if it is true of every member."""
        return all(task.instant for task in self.members.values())

    def grade(self, problem: Problem, answer: Answer) -> Grade:
        """The verdict of the problem's own task."""
        return self.of(problem).grade(problem, answer)

    def same(self, problem: Problem, one: str, other: str) -> bool:
        """What the problem's own task says."""
        return self.of(problem).same(problem, one, other)

    def classes(self, problem: Problem, answers: Iterable[str]) -> dict[str, int]:
        """Those of the problem's own task."""
        return self.of(problem).classes(problem, answers)

    def grade_solution(self, problem: Problem, segments: Sequence[Segment]) -> Grade:
        """The verdict of the problem's own task on a whole solution."""
        return self.of(problem).grade_solution(problem, segments)

    def measure(self, problem: Problem, solution: Solution) -> dict[str, float]:
        """The columns of the problem's own task."""
        return self.of(problem).measure(problem, solution)

    def grade_beside(self, problem: Problem, text: str, *, cut: bool) -> dict[str, float]:
        """What the side graders of the problem's own task say."""
        return self.of(problem).grade_beside(problem, text, cut=cut)

    def directions(self) -> dict[str, Direction]:
        """The columns of all members."""
        return {name: way for task in self.members.values() for name, way in task.directions().items()}

    def ratios(self) -> dict[str, tuple[str, ...]]:
        """Those of all members."""
        return {name: pair for task in self.members.values() for name, pair in task.ratios().items()}

    def shares(self) -> frozenset[str]:
        """The columns and ratios that are shares in every member that has them."""
        columns = {name: task.directions().keys() | task.ratios().keys() for name, task in self.members.items()}
        others = {name for member, task in self.members.items() for name in columns[member] - task.shares()}
        return frozenset().union(*(task.shares() for task in self.members.values())) - others

    def check_steps(self, problem: Problem, steps: Sequence[str]) -> tuple[bool, ...] | None:
        """The step checker of the problem's own task."""
        return self.of(problem).check_steps(problem, steps)

    def splits(self) -> dict[str, int | None]:
        """Empty: a merged set consists of rows and has no source."""
        return {}

    def problems(self, split: str) -> Iterator[Problem]:
        """Always raises UserError: a merged set consists of rows and has no source."""
        raise UserError(f"A merged task has no split {split!r}; read the problems from the stage that merged them.")
