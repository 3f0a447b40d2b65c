"""`noise`: wrong numbers or words at a given rate (Unveiling the Mechanisms of Explicit CoT Training, arXiv 2502.04667:
noise on the bridge, on the answer or on both)."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from pydantic import Field, model_validator

from data_gen.records.problem import Problem
from data_gen.records.segment import Kind, Segment
from data_gen.records.solution import Solution
from data_gen.transforms import TRANSFORMS
from data_gen.transforms.base import Transform, retold, tagged


@TRANSFORMS.register("noise")
class Noise(Transform):
    """`{uses: noise, rate: 0.2}`: a fifth of the rows get one wrong step. The last number of the step, its result,
    becomes another one of as many digits; with `words`, its last word that is listed becomes another of the list.

    What is changed is drawn for every row anew, so the rate holds for rows, not for problems. The tag `noise` says how
    many segments were changed; rows in which nothing can be are never changed. Verdicts are those of the new text.
    """

    uses: Literal["noise"] = "noise"
    rate: float = Field(gt=0, le=1)
    each: Literal["row", "segment"] = "row"
    """`row`: one segment of a row, with probability `rate`. `segment`: every segment, independently."""
    kinds: tuple[Kind, ...] = Field((Kind.STEP,), min_length=1)
    """`[step]`, `[answer]` or both."""
    words: tuple[str, ...] = ()
    """At least two different ones, or none."""

    @model_validator(mode="after")
    def _has_other_words(self) -> Noise:
        if len(set(self.words)) == 1:
            raise ValueError(f"words: expected at least two different ones, got {list(self.words)}")
        return self

    def __call__(self, problem: Problem, rows: Sequence[Solution], rng: random.Random) -> list[Solution]:
        """One row a row."""
        return [self._noisy(row, rng) for row in rows]

    def _noisy(self, row: Solution, rng: random.Random) -> Solution:
        places = [i for i, s in enumerate(row.segments) if s.kind in self.kinds and self._last(s.text)]
        if self.each == "segment":
            hit = [i for i in places if rng.random() < self.rate]
        else:
            hit = [rng.choice(places)] if places and rng.random() < self.rate else []
        segments = [self._wrong(s, rng) if i in hit else s for i, s in enumerate(row.segments)]
        return tagged(retold(row, segments), self, str(len(hit)))

    def _wrong(self, segment: Segment, rng: random.Random) -> Segment:
        found = self._last(segment.text)
        assert found is not None
        others = [word for word in self.words if word != found[0]]
        new = rng.choice(others) if others else _other(found[0], rng)
        return replace(segment, text=segment.text[: found.start()] + new + segment.text[found.end() :], token_ids=())

    def _last(self, text: str) -> re.Match[str] | None:
        pattern = rf"\b(?:{'|'.join(map(re.escape, self.words))})\b" if self.words else r"\d+"
        return next(reversed(list(re.finditer(pattern, text))), None)


def _other(number: str, rng: random.Random) -> str:
    """Another number of as many digits, without a leading zero."""
    low, high = (0 if len(number) == 1 else 10 ** (len(number) - 1)), 10 ** len(number) - 1
    new = rng.randint(low, high - 1)
    return str(new + (new >= int(number))) if low <= int(number) <= high else str(new)
