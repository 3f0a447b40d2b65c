"""`mask`: loss weights by kind of segment and by span of text (PRefLexOR, arXiv 2410.12375, masks thinking; Toolformer,
arXiv 2302.04761, what a tool wrote)."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from data_gen.patterns import Pattern
from data_gen.records.problem import Problem
from data_gen.records.segment import Kind, Segment
from data_gen.records.solution import Solution
from data_gen.transforms import TRANSFORMS
from data_gen.transforms.base import Transform

Weight = Annotated[float, Field(ge=0)]


class Span(BaseModel):
    """A weight for every match of a pattern: `{pattern: "<<.*?>>", weight: 0}`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    pattern: Pattern
    weight: Weight = 0.0
    kind: Kind | None = None
    """The kind that a match becomes, such as `observation`. Default: the kind of its segment."""

    def cut(self, segment: Segment) -> Iterator[Segment]:
        """The segment in pieces: what matches, with its weight, and what stands between."""
        at = 0
        for found in re.finditer(self.pattern, segment.text):
            if found[0]:
                yield replace(segment, text=segment.text[at : found.start()], token_ids=())
                yield replace(segment, kind=self.kind or segment.kind, text=found[0], token_ids=(), weight=self.weight)
                at = found.end()
        yield segment if not at else replace(segment, text=segment.text[at:], token_ids=())


@TRANSFORMS.register("mask")
class Mask(Transform):
    """`{uses: mask, weights: {think: 0, answer: 2}}`: the loss weight of every token of a segment, by kind. Kinds that
    are not named keep their weights, and texts and ids stay. `spans` weighs parts of segments.

    A segment with a span in it becomes several, so later transforms would take a cut step for several steps: put
    `mask` last. Verdicts stay, since the text does.
    """

    uses: Literal["mask"] = "mask"
    rereads = False
    weights: dict[Kind, Weight] = {}
    spans: tuple[Span, ...] = ()
    """Applied in order, after `weights`. Matches do not reach over the ends of segments."""

    @model_validator(mode="after")
    def _changes(self) -> Mask:
        if not (self.weights or self.spans):
            raise ValueError("weights, spans: both are missing; give one")
        return self

    def __call__(self, problem: Problem, rows: Sequence[Solution], rng: random.Random) -> list[Solution]:
        """One row a row."""
        return [self._masked(row) for row in rows]

    def _masked(self, row: Solution) -> Solution:
        weighed = tuple(replace(s, weight=self.weights.get(s.kind, s.weight)) for s in row.segments)
        pieces = list(weighed)
        for span in self.spans:
            pieces = [piece for segment in pieces for piece in span.cut(segment)]
        if len(pieces) == len(weighed):
            return replace(row, segments=tuple(pieces))
        texts = tuple(replace(piece, token_ids=()) for piece in pieces if piece.text)
        return replace(row, segments=texts, logprobs=(), teacher_ids=(), teacher_logprobs=(), step_labels=())
