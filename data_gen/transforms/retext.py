"""`retext`: rewrites text by rules, such as a teacher's marks into the student's."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from data_gen.patterns import Pattern
from data_gen.records.problem import Problem
from data_gen.records.segment import Kind, Segment
from data_gen.records.solution import Solution
from data_gen.transforms import TRANSFORMS
from data_gen.transforms.base import Transform, retold


class Rewrite(BaseModel):
    """What becomes what: `{pattern: "<<.*?>>", to: ""}` takes GSM8K's calculator notes out."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    pattern: Pattern
    to: str = ""
    """Groups are `\\1`, `\\g<name>`, as Python's `re.sub` writes them."""
    kinds: tuple[Kind, ...] = ()
    """Kinds of segments that it rewrites; all of them by default."""

    @model_validator(mode="after")
    def _has_its_groups(self) -> Rewrite:
        try:
            re.sub(self.pattern, self.to, "")
        except (re.error, IndexError) as error:
            raise ValueError(
                f"to: {error}; expected groups that pattern {self.pattern!r} has, got {self.to!r}"
            ) from None
        return self

    def apply(self, segment: Segment) -> Segment:
        """The segment with every match replaced. A match cannot reach over its ends."""
        if self.kinds and segment.kind not in self.kinds:
            return segment
        text = re.sub(self.pattern, self.to, segment.text)
        return segment if text == segment.text else replace(segment, text=text, token_ids=())


@TRANSFORMS.register("retext")
class Retext(Transform):
    """`{uses: retext, rules: [{pattern: " +", to: " "}]}`: every rule in turn, segment by segment. Segments that are
    left empty go. Where an answer changed with its text, the verdict does, too."""

    uses: Literal["retext"] = "retext"
    rules: tuple[Rewrite, ...] = Field(min_length=1)

    def __call__(self, problem: Problem, rows: Sequence[Solution], rng: random.Random) -> list[Solution]:
        """One row a row; a row that is left empty is left out."""
        made = [retold(row, [self._rewritten(segment) for segment in row.segments]) for row in rows]
        return [row for row in made if row.text]

    def _rewritten(self, segment: Segment) -> Segment:
        for rule in self.rules:
            segment = rule.apply(segment)
        return segment
