"""The transform interface, and a helper that keeps the rest of a row consistent when its segments change."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from data_gen.engines.base import stream_seed
from data_gen.errors import UserError
from data_gen.records.problem import Problem
from data_gen.records.segment import Segment
from data_gen.records.solution import Solution
from data_gen.registry import Piece


class Transform(Piece, ABC):
    """Base of all transforms. Each has a `uses: Literal["name"] = "name"`. Their modules import nothing heavy at top
    level."""

    @abstractmethod
    def __call__(self, problem: Problem, rows: Sequence[Solution], rng: random.Random) -> Iterable[Solution]:
        """New rows of one problem, made from all its rows.

        Every random choice comes from `rng`; the result depends on the arguments and the config alone. A row that is
        left out counts as dropped. The new rows name the same problem and group.
        """


def retold(row: Solution, segments: Sequence[Segment]) -> Solution:
    """A row with other segments. Facts about the old ones are left out: log-probabilities, a teacher's tokens, and
    whether every step is right. The verdict is about the answer and stays."""
    if tuple(segments) == row.segments:
        return row
    return replace(row, segments=tuple(segments), logprobs=(), teacher_ids=(), teacher_logprobs=(), steps_ok=None)


def apply_all(
    transforms: Sequence[Transform], problem: Problem, rows: Sequence[Solution], *, seed: int, copy: int
) -> Iterator[tuple[Transform, list[Solution]]]:
    """Each transform in turn, with the rows that it returns.

    The random stream of a transform derives from (seed, problem id, its name, the number of earlier transforms of this
    name, copy). Adding a transform to the list therefore changes no choice of the others. UserError if a row names
    another problem.
    """
    names: list[str] = []
    for transform in transforms:
        rng = random.Random(stream_seed(seed, problem.id, transform.uses, names.count(transform.uses), copy))
        names.append(transform.uses)
        rows = list(transform(problem, rows, rng))
        for row in rows:
            if (row.problem_id, row.group) != (problem.id, problem.group):
                raise UserError(
                    f"transform {transform.uses!r}: a row of problem {problem.id!r} came out as one of "
                    f"{row.problem_id!r} (group {row.group[:80]!r}); rows must name the same problem and group."
                )
        yield transform, list(rows)
