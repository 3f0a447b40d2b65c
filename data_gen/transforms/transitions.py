"""`transitions`: one row a step, from the steps before it to the next one (Procedure Cloning, arXiv 2205.10816: one
step of the procedure is predicted from the state before it). With the whole history it is the data of Successive
Prompting's decomposer (arXiv 2212.04092)."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

from pydantic import Field

from data_gen.records.problem import Problem
from data_gen.records.segment import Kind
from data_gen.records.solution import Solution
from data_gen.transforms import TRANSFORMS
from data_gen.transforms.base import Transform, asked, question_of, retold
from data_gen.transforms.reprompt import Template
from data_gen.transforms.views import put


@TRANSFORMS.register("transitions")
class Transitions(Transform):
    """`{uses: transitions, history: 1}`: for the steps `12 + 5 = 17`, `17 - 3 = 14` and the line `Answer: 14`, three
    rows: question -> `12 + 5 = 17`; question and `12 + 5 = 17` -> `17 - 3 = 14`; question and `17 - 3 = 14` -> `Answer:
    14`. A policy that learned them is asked again and again until it answers.

    A row keeps the verdict of the whole solution. Segments that are neither steps nor the answer are left out.
    """

    uses: Literal["transitions"] = "transitions"
    rereads = False
    history: int = Field(1, ge=0)
    """How many steps before are shown; 0 shows all of them."""
    template: Template = "{question}"
    """Wording of the question. The steps stand for `{shown}`, by default on the lines below it."""

    def __call__(self, problem: Problem, rows: Sequence[Solution], rng: random.Random) -> list[Solution]:
        """A row's steps in order."""
        return [made for row in rows for made in self._steps(row)]

    def size(self, rows: int) -> None:
        """As many as there are steps."""

    def _steps(self, row: Solution) -> Iterator[Solution]:
        states = [segment for segment in row.segments if segment.kind in (Kind.STEP, Kind.ANSWER)]
        for at, state in enumerate(states):
            shown = "".join(one.text for one in states[max(0, at - self.history) if self.history else 0 : at])
            made = asked(row, put(self.template, question_of(row, self.uses), shown))
            yield retold(made, [replace(state, text=state.text.strip(), token_ids=())])
