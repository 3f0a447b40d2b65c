"""`drop`: leaves out parts of a solution at random, by nested levels (Dualformer, arXiv 2410.09918, section 4.1).

The paper's four levels on traces of A* search drop `close` clauses, then costs, then creations at random, then the
whole trace. `copies` of stage `transform` draws them anew for every epoch.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from data_gen.patterns import Pattern
from data_gen.records.problem import Problem
from data_gen.records.segment import Kind, Segment
from data_gen.records.solution import Solution
from data_gen.transforms import TRANSFORMS
from data_gen.transforms.base import Transform, retold, tagged


class Level(BaseModel):
    """What a level leaves out besides what the levels before it do: `{odds: 0.45}` nothing, `{steps: "^close"}` steps
    that match, `{share: 0.3}` each step that is left with this probability."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    odds: float = Field(1.0, gt=0)
    """How often the level is drawn, relative to the others."""
    steps: Pattern = ""
    """Leave out steps in which this matches."""
    inside: Pattern = ""
    """Cut out what this matches in the steps that stay."""
    share: float = Field(0.0, ge=0, le=1)

    def apply(self, parts: Mapping[int, Segment], rng: random.Random) -> dict[int, Segment]:
        """The parts that stay, by their places. One of which only white space is left goes."""
        kept = {at: part for at, part in parts.items() if not (self.steps and re.search(self.steps, part.text))}
        if self.inside:
            kept = {at: _without(self.inside, part) for at, part in kept.items()}
        return {at: part for at, part in kept.items() if part.text.strip() and rng.random() >= self.share}


def _without(pattern: str, part: Segment) -> Segment:
    text = re.sub(pattern, "", part.text)
    return part if text == part.text else replace(part, text=text, token_ids=())


@TRANSFORMS.register("drop")
class Drop(Transform):
    """`{uses: drop, levels: [{odds: 0.45}, {steps: "^close"}, {inside: " c[0-9]+"}, {share: 0.3}, {share: 1}]}`:
    one level is drawn for every row, and all levels up to it apply. `levels: [{share: 0.3}]` leaves out every step with
    this probability.

    Only steps are dropped, or what `kinds` names, so that plan and answer stay. The tag `drop` says which level was
    drawn, from 0.
    """

    uses: Literal["drop"] = "drop"
    levels: tuple[Level, ...] = Field(min_length=1)
    kinds: tuple[Kind, ...] = Field((Kind.STEP,), min_length=1)
    """Kinds of segments that may be dropped, such as `think` and `step`."""

    def __call__(self, problem: Problem, rows: Sequence[Solution], rng: random.Random) -> list[Solution]:
        """One row a row; a row of which nothing is left is left out."""
        made = [self._dropped(row, rng) for row in rows]
        return [row for row in made if row.text]

    def _dropped(self, row: Solution, rng: random.Random) -> Solution:
        [level] = rng.choices(range(len(self.levels)), [level.odds for level in self.levels])
        kept = {at: segment for at, segment in enumerate(row.segments) if segment.kind in self.kinds}
        for one in self.levels[: level + 1]:
            kept = one.apply(kept, rng)
        whole = enumerate(row.segments)
        left = [kept.get(at) if segment.kind in self.kinds else segment for at, segment in whole]
        return tagged(retold(row, [segment for segment in left if segment is not None]), self, str(level))
