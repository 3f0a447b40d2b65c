"""What a transform is, and how one that changes segments leaves the rest of a row true."""

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
    """Base of all transforms; each has a `uses: Literal["name"] = "name"`. Their modules import nothing heavy at top
    level."""

    @abstractmethod
    def __call__(self, problem: Problem, rows: Sequence[Solution], rng: random.Random) -> Iterable[Solution]:
        """New rows of one problem from all that it has.

        Every random choice comes from `rng`, and nothing else than the arguments and the config decides. A row that is
        left out counts as dropped. The rows name the same problem and group.
        """


def retold(row: Solution, segments: Sequence[Segment]) -> Solution:
    """A row with other segments. What was known of the old ones is left out: log-probabilities, and whether every step
    is right. The verdict is on the answer and stays."""
    if tuple(segments) == row.segments:
        return row
    return replace(row, segments=tuple(segments), logprobs=(), steps_ok=None)


def apply_all(
    transforms: Sequence[Transform], problem: Problem, rows: Sequence[Solution], *, seed: int, copy: int
) -> Iterator[tuple[Transform, list[Solution]]]:
    """Each transform with the rows that it leaves, one after the other.

    The random stream of a transform derives from (seed, problem id, its name, how many of this name came before, copy),
    so that one that is added to the list changes no choice of the others. UserError where a row names another problem.
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
