"""The transform interface, and helpers that keep the rest of a row consistent when its segments or its question change.

Token ids belong to a text as a whole. A row with another text has none, and whoever reads it next encodes all of it at
once; ids are never joined.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from data_gen.engines.base import stream_seed
from data_gen.errors import UserError, excerpt
from data_gen.records.problem import Problem
from data_gen.records.segment import Kind, Segment
from data_gen.records.solution import Solution
from data_gen.registry import Piece
from data_gen.tasks.base import Task
from data_gen.transforms.reread import reread


class Transform(Piece, ABC):
    """Base of all transforms. Each has a `uses: Literal["name"] = "name"`. Their modules import nothing heavy at top
    level."""

    rereads: ClassVar[bool] = True
    """Whether the answer and the steps of a changed text are read and judged again. False: the new text has no answer
    as it stands, such as a part of a solution, and keeps the verdict of the solution it was made from."""

    @abstractmethod
    def __call__(self, problem: Problem, rows: Sequence[Solution], rng: random.Random) -> Iterable[Solution]:
        """New rows of one problem, made from all its rows.

        Every random choice comes from `rng`; the result depends on the arguments and the config alone. A row that is
        left out counts as dropped: no new row has its sample number. The new rows name the same problem and group. A
        tag under the transform's own name says which choice made a row (see `tagged`).
        """

    def size(self, rows: int) -> int | None:
        """How many rows may come of so many, for estimates. None: it depends on the rows."""
        return rows


def retold(row: Solution, segments: Sequence[Segment]) -> Solution:
    """A row with other segments, as text without token ids. Facts about the old ones are left out: log-probabilities,
    a teacher's tokens, a verifier's weight, and whether every step is right.

    A row whose segments stay as they are stays as it is. An end token has no text, so it goes with the ids; a trainer
    encodes the text and ends it again. A segment that has become the first one begins with the white space that the
    first one began with.
    """
    if tuple(segments) == row.segments:
        return row
    texts = [replace(segment, token_ids=()) for segment in segments if segment.text]
    if texts and segments[0] in row.segments:
        space = row.text[: len(row.text) - len(row.text.lstrip())]
        texts[0] = replace(texts[0], text=space + texts[0].text.lstrip())
    return replace(
        row,
        segments=tuple(texts),
        logprobs=(),
        teacher_ids=(),
        teacher_logprobs=(),
        value=None,
        steps_ok=None,
        step_labels=(),
    )


def asked(row: Solution, question: str) -> Solution:
    """A row that answers another wording of its question. The student's own Format renders it; the prompt or the
    conversation that the row was sampled with is left out, and what was measured behind it."""
    if question == row.question:
        return row
    return replace(
        row,
        question=question,
        prompt=question,
        asked=(),
        prompt_ids=(),
        logprobs=(),
        teacher_ids=(),
        teacher_logprobs=(),
    )


def tagged(row: Solution, transform: Transform, value: str) -> Solution:
    """A row that says which choice of the transform made it. Stage `transform` counts these."""
    return replace(row, tags={**row.tags, transform.uses: value})


def question_of(row: Solution, transform: str) -> str:
    """The bare question of a row. UserError if it has none."""
    if not row.question:
        raise UserError(
            f"transform {transform!r}: the solution of problem {row.problem_id!r} has no `question`, only a "
            f"prompt that is rendered already ({excerpt(row.prompt)}). Expected rows of `gold` or `sample`."
        )
    return row.question


def steps_changed(row: Solution, changed: Sequence[Segment | None]) -> Solution:
    """A row whose steps are replaced in order; None leaves a step out, and everything else stays in its place."""
    new = iter(changed)
    found = [next(new) if segment.kind is Kind.STEP else segment for segment in row.segments]
    return retold(row, [segment for segment in found if segment is not None])


def apply_all(
    transforms: Sequence[Transform],
    problem: Problem,
    rows: Sequence[Solution],
    *,
    seed: int,
    copy: int,
    task: Task | None = None,
) -> Iterator[tuple[Transform, list[Solution]]]:
    """Each transform in turn, with the rows that it returns.

    The random stream of a transform derives from (seed, problem id, its name, the number of earlier transforms of this
    name, copy). Adding a transform to the list therefore changes no choice of the others.

    Args:
        task: Reads and judges changed texts again (see `Transform.rereads`). None: verdicts stay as they are.

    Raises:
        UserError: If a row names another problem, or has token ids for a part of its text only.
    """
    names: list[str] = []
    for transform in transforms:
        rng = random.Random(stream_seed(seed, problem.id, transform.uses, names.count(transform.uses), copy))
        names.append(transform.uses)
        judged = {_judged(row) for row in rows}
        rows = list(transform(problem, rows, rng))
        for row in rows:
            _check(row, problem, transform)
        if task is not None and transform.rereads:
            rows = [row if _judged(row) in judged else reread(row, problem, task) for row in rows]
        yield transform, list(rows)


def _judged(row: Solution) -> tuple[Any, ...]:
    """A text with what is said of it. A row that has become the text of another one does not say what that one says."""
    wording = tuple((segment.kind, segment.text) for segment in row.segments)
    return wording, row.finish, row.answer, row.verdict, row.reason, row.score, row.steps_ok


def _check(row: Solution, problem: Problem, transform: Transform) -> None:
    if (row.problem_id, row.group) != (problem.id, problem.group):
        raise UserError(
            f"transform {transform.uses!r}: a row of problem {problem.id!r} came out as one of "
            f"{row.problem_id!r} (group {row.group[:80]!r}); rows must name the same problem and group."
        )
    if len({bool(segment.token_ids) for segment in row.segments if segment.text}) > 1:
        raise UserError(
            f"transform {transform.uses!r}: a row of problem {problem.id!r} has token ids for a part of its text only "
            f"({excerpt(row.text)}); a row has them for all segments or for none. Make rows with `retold`."
        )
