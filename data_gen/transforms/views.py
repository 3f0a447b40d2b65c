"""`views`: several tasks made of one solution (UniCoder, arXiv 2406.16441: question to answer, question to
code, code to answer, question to code and answer)."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from data_gen.records.problem import Problem
from data_gen.records.segment import Kind
from data_gen.records.solution import Solution
from data_gen.scorers.wording import filled
from data_gen.transforms import TRANSFORMS
from data_gen.transforms.base import Transform, asked, question_of, retold, tagged
from data_gen.transforms.reprompt import Template


class SolutionView(BaseModel):
    """What is asked and what is told: `{show: [code], tell: [answer]}` asks the question with the code for the answer.

    Kinds that are neither shown nor told are left out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    show: tuple[Kind, ...] = ()
    """Kinds that move into the question."""
    tell: tuple[Kind, ...] = ()
    """Kinds of the completion. Default: all that are not shown."""
    template: Template = "{question}"
    """Wording of the question. What is shown stands for `{shown}`, by default on the lines below it."""


@TRANSFORMS.register("views")
class Views(Transform):
    """`{uses: views, views: {answer: {tell: [answer]}, code: {tell: [code]}, both: {}}}`: one row a view, tagged with
    its name. A view of which the row has nothing to show or to tell is left out.

    A row keeps the verdict of the whole solution: a plan has no answer of its own.
    """

    uses: Literal["views"] = "views"
    rereads = False
    views: dict[str, SolutionView] = Field(min_length=1)

    def __call__(self, problem: Problem, rows: Sequence[Solution], rng: random.Random) -> list[Solution]:
        """Row by row, in the order of the views."""
        return [made for row in rows for made in self._viewed(row)]

    def size(self, rows: int) -> int:
        """Every view of every row."""
        return rows * len(self.views)

    def _viewed(self, row: Solution) -> Iterator[Solution]:
        for name, view in self.views.items():
            shown = "".join(segment.text for segment in row.segments if segment.kind in view.show)
            told = [s for s in row.segments if s.kind not in view.show and (s.kind in view.tell or not view.tell)]
            if any(segment.text for segment in told) and (shown or not view.show):
                made = asked(row, put(view.template, question_of(row, self.uses), shown))
                yield tagged(retold(made, told), self, name)


def put(template: str, question: str, shown: str) -> str:
    """The question in a template, with what is shown.

    >>> put("{question}", "How many?", "12 + 5 = 17\\n")
    'How many?\\n12 + 5 = 17'
    """
    if shown and "{shown}" not in template:
        template += "\n{shown}"
    return filled(template, {"{question}": question, "{shown}": shown.strip()}).strip()
