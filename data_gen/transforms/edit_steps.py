"""`edit_steps`: more or fewer steps for the same content (The Impact of Reasoning Step Length, arXiv 2401.04925:
steps are added by restating and checking, and taken away by merging)."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Literal

from pydantic import Field, model_validator

from data_gen.patterns import Pattern
from data_gen.records.problem import Problem
from data_gen.records.segment import Kind, Segment
from data_gen.records.solution import Solution
from data_gen.transforms import TRANSFORMS
from data_gen.transforms.base import Transform, retold


@TRANSFORMS.register("edit_steps")
class EditSteps(Transform):
    """One of four edits. `{merge: 2}`: two steps become one. `{split: "; "}`: a step is cut where this matches, and
    the match goes. `{every: 2}`: every second step stays, counted from the last. `{expand: ["Check: {step}"]}`: after
    every step comes another one in one of these wordings, drawn at random.

    Whether steps are right is judged anew.
    """

    uses: Literal["edit_steps"] = "edit_steps"
    merge: int | None = Field(None, ge=2)
    split: Pattern = ""
    every: int | None = Field(None, ge=2)
    expand: tuple[str, ...] = ()
    """`{step}` and `{question}` are replaced."""
    delimiter: str = Field("\n", min_length=1)
    """Ends a step, as `format.step_delimiter` of the task says."""
    joiner: str = " "
    """Stands between merged steps."""

    @model_validator(mode="after")
    def _one_edit(self) -> EditSteps:
        given = [name for name in ("merge", "split", "every", "expand") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(f"expected one of merge, split, every and expand, got {', '.join(given) or 'none'}")
        return self

    def __call__(self, problem: Problem, rows: Sequence[Solution], rng: random.Random) -> list[Solution]:
        """One row a row."""
        return [self._edited(row, rng) for row in rows]

    def _edited(self, row: Solution, rng: random.Random) -> Solution:
        segments = list[Segment]()
        for is_step, run in itertools.groupby(row.segments, key=lambda segment: segment.kind is Kind.STEP):
            adjacent = list(run)
            segments += self._run(adjacent, row.question, rng) if is_step else adjacent
        return retold(row, segments)

    def _run(self, steps: list[Segment], question: str, rng: random.Random) -> Iterable[Segment]:
        """Steps in a row, edited."""
        if self.merge:
            return (self._merged(steps[i : i + self.merge]) for i in range(0, len(steps), self.merge))
        if self.every:
            return steps[(len(steps) - 1) % self.every :: self.every]
        if self.split:
            return itertools.chain.from_iterable(map(self._split, steps))
        return itertools.chain.from_iterable((self._ended(step), self._more(step, question, rng)) for step in steps)

    def _merged(self, steps: Sequence[Segment]) -> Segment:
        *before, last = steps
        if not before:
            return last
        text = self.joiner.join([*(one.text.removesuffix(self.delimiter).rstrip() for one in before), last.text])
        return replace(last, text=text, token_ids=())

    def _split(self, step: Segment) -> Iterator[Segment]:
        ends = step.text.endswith(self.delimiter)
        pieces = [piece for piece in _between(self.split, step.text.removesuffix(self.delimiter)) if piece.strip()]
        if len(pieces) < 2:
            yield step
            return
        for i, piece in enumerate(pieces):
            closing = self.delimiter if ends or i < len(pieces) - 1 else ""
            yield replace(step, text=piece + closing, token_ids=())

    def _ended(self, step: Segment) -> Segment:
        """The step with a delimiter, which the last one of a text may lack."""
        ends = step.text.endswith(self.delimiter)
        return step if ends else replace(step, text=step.text + self.delimiter, token_ids=())

    def _more(self, step: Segment, question: str, rng: random.Random) -> Segment:
        said = step.text.removesuffix(self.delimiter).strip()
        text = re.sub(
            r"\{step\}|\{question\}", lambda name: said if name[0] == "{step}" else question, rng.choice(self.expand)
        )
        return replace(step, text=text + self.delimiter, token_ids=())


def _between(pattern: str, text: str) -> Iterator[str]:
    """What stands between matches; groups of the pattern are part of the match."""
    at = 0
    for found in re.finditer(pattern, text):
        yield text[at : found.start()]
        at = found.end()
    yield text[at:]
