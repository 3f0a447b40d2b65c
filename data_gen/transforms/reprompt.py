"""`reprompt`: another wording of the question, or a control word before the solution, so that one policy learns several
ways to answer (Orca's system messages, arXiv 2306.02707, section 3.1; Dualformer's first token, arXiv 2410.09918)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, model_validator

from data_gen.records.problem import Problem
from data_gen.records.segment import Kind, Segment
from data_gen.records.solution import Solution
from data_gen.transforms import TRANSFORMS
from data_gen.transforms.base import Transform, asked, question_of, retold, tagged


def _has_question(template: str) -> str:
    if "{question}" not in template:
        raise ValueError(f"expected a text with {{question}} in it, got {template!r}")
    return template


Template = Annotated[str, AfterValidator(_has_question)]
"""`{question}` is replaced, nothing else is."""


@TRANSFORMS.register("reprompt")
class Reprompt(Transform):
    """`{uses: reprompt, templates: ["{question} Be short."]}`: every row answers its question in one of these wordings,
    drawn at random. `{uses: reprompt, control: "short "}`: the solution begins with a control word.

    The row keeps its verdict and its completion. The student's own Format renders the new question, never the prompt
    that a teacher was asked. To evaluate in the same wording, use stage `reword`.
    """

    uses: Literal["reprompt"] = "reprompt"
    templates: tuple[Template, ...] = ("{question}",)
    control: str = ""
    """Text of a `control` segment before everything else. `mask` leaves it out of the loss."""

    @model_validator(mode="after")
    def _changes(self) -> Reprompt:
        if not self.templates or (set(self.templates) == {"{question}"} and not self.control):
            raise ValueError("templates, control: they change nothing; give another wording or a control word")
        return self

    def __call__(self, problem: Problem, rows: Sequence[Solution], rng: random.Random) -> list[Solution]:
        """One row a row, tagged with the number of its template if there are several."""
        return [self._reprompted(row, rng) for row in rows]

    def _reprompted(self, row: Solution, rng: random.Random) -> Solution:
        which = rng.randrange(len(self.templates))
        question = question_of(row, self.uses)
        made = asked(row, self.templates[which].replace("{question}", question))
        if self.control:
            made = retold(made, [Segment(kind=Kind.CONTROL, text=self.control), *made.segments])
        return tagged(made, self, str(which)) if len(self.templates) > 1 else made
