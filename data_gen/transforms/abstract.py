"""`abstract`: placeholders for what equations give (Chain-of-Abstraction, arXiv 2401.17464, section 3). A tool fills
them in, `data_gen.placeholders.filled`."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import AfterValidator

from data_gen.equations import is_number, rounds_to
from data_gen.placeholders import abstracted
from data_gen.records.problem import Problem
from data_gen.records.segment import Kind, Segment
from data_gen.records.solution import Solution
from data_gen.transforms import TRANSFORMS
from data_gen.transforms.base import Transform, retold


def _numbered(name: str) -> str:
    if re.fullmatch(r"[A-Za-z]\{n\}", name) is None:  # `equations` reads no others
        raise ValueError(f"expected a letter and {{n}}, such as 'y{{n}}', got {name!r}")
    return name


@TRANSFORMS.register("abstract")
class Abstract(Transform):
    """`{uses: abstract}`: `12 + 5 = 17`, `17 - 3 = 14`, `Answer: 14` becomes `[12 + 5 = y1]`, `[y1 - 3 = y2]`, `Answer:
    y2`. Numbers that the question states stay.

    As in the paper, a row counts only if solving its equations gives the answer: each step has one, and the last
    placeholder is the answer. The others are left out. The row keeps its answer and its verdict.
    """

    uses: Literal["abstract"] = "abstract"
    rereads = False
    name: Annotated[str, AfterValidator(_numbered)] = "y{n}"
    """How placeholders are called: a letter and `{n}`."""

    def __call__(self, problem: Problem, rows: Sequence[Solution], rng: random.Random) -> list[Solution]:
        """At most one row a row."""
        return [made for row in rows if (made := self._abstracted(row)) is not None]

    def _abstracted(self, row: Solution) -> Solution | None:
        steps = [segment.text for segment in row.segments if segment.kind is Kind.STEP]
        made = abstracted(steps, row.question, self.name) if steps else None
        answer = (row.answer or "").strip()
        if made is None or not is_number(answer):
            return None
        last = next(reversed(list(made.values)))
        if not rounds_to(made.values[last], answer):
            return None
        texts = iter(made.texts)
        return retold(row, [_with(segment, texts, answer, last) for segment in row.segments])


def _with(segment: Segment, texts: Iterator[str], answer: str, last: str) -> Segment:
    """A segment of the abstract solution: a step's text, or the last place of the answer replaced."""
    if segment.kind is Kind.STEP:
        return replace(segment, text=next(texts), token_ids=())
    before, found, after = segment.text.rpartition(answer)
    return (
        replace(segment, text=before + last + after, token_ids=()) if segment.kind is Kind.ANSWER and found else segment
    )
