"""`render`: the same solution in another form. It is the ablation of chain-of-thought prompting (Wei et al., arXiv
2201.11903, section 3.3: equation only, reasoning after the answer) as training data, with Orca's short answers (arXiv
2306.02707, section 3.1) and programs of thought (arXiv 2211.12588)."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Literal

from data_gen.equations import equations, is_number, rounds_to
from data_gen.placeholders import abstracted, written
from data_gen.records.problem import Problem
from data_gen.records.segment import Kind, Segment
from data_gen.records.solution import Solution
from data_gen.transforms import TRANSFORMS
from data_gen.transforms.base import Transform, retold, steps_changed

Form = Literal["answer", "reasoned", "compressed", "answer_first", "reversed", "program"]


@TRANSFORMS.register("render")
class Render(Transform):
    """`{uses: render, form: answer}`: one row a row, or none where the form does not exist.

    For the steps `Ben: 12 + 5 = 17` and `Cy: 17 - 3 = 14` and the line `Answer: 14`:

    - `answer`: `Answer: 14`. Needs an answer line.
    - `reasoned`: steps and answer without thoughts, plans and control words.
    - `compressed`: `12 + 5 = 17`, `17 - 3 = 14`, `Answer: 14`. Steps without an equation go; one must have one.
    - `answer_first`: `Answer: 14`, then the steps. The answer cannot come from them.
    - `reversed`: `Ben: 21 + 5 = 71`, ..., digits of the steps from the last to the first, as sums are computed (arXiv
      2407.15360). The answer line stays as it is.
    - `program`: code, `x1 = 12 + 5`, `x2 = x1 - 3`, in place of the steps. Each has equations only, all right, and
      the last one gives the answer.
    """

    uses: Literal["render"] = "render"
    form: Form

    def __call__(self, problem: Problem, rows: Sequence[Solution], rng: random.Random) -> list[Solution]:
        """At most one row a row."""
        form = _FORMS[self.form]
        return [made for row in rows if (made := form(row)) is not None]


def _answer(row: Solution) -> Solution | None:
    return _of_kinds(row, {Kind.ANSWER}) if _has_answer(row) else None


def _reasoned(row: Solution) -> Solution | None:
    return _of_kinds(row, set(Kind) - {Kind.THINK, Kind.PLAN, Kind.CONTROL})


def _compressed(row: Solution) -> Solution | None:
    steps = [_equations_only(segment) for segment in row.segments if segment.kind is Kind.STEP]
    return steps_changed(row, steps) if any(steps) else None


def _equations_only(step: Segment) -> Segment | None:
    """A step's equations, joined by commas, before the white space that ends it."""
    found = ", ".join(step.text[one.begin : one.end] for one in equations(step.text))
    return replace(step, text=found + step.text[len(step.text.rstrip()) :], token_ids=()) if found else None


def _answer_first(row: Solution) -> Solution | None:
    """The answer line ends as steps do; the last step ends the text."""
    steps = [segment for segment in row.segments if segment.kind is Kind.STEP]
    if not (_has_answer(row) and steps):
        return None
    ending = steps[0].text[len(steps[0].text.rstrip()) :]
    answers = [replace(one, text=one.text.rstrip() + ending) for one in row.segments if one.kind is Kind.ANSWER]
    rest = [segment for segment in row.segments if segment.kind not in (Kind.ANSWER, Kind.END)]
    first = next(i for i, segment in enumerate(rest) if segment.kind is Kind.STEP)
    last = rest[-1]
    moved = [*rest[:first], *answers, *rest[first:-1], replace(last, text=last.text.rstrip())]
    return retold(row, [replace(segment, token_ids=()) for segment in moved])


def _reversed(row: Solution) -> Solution | None:
    turned = [
        replace(step, text=re.sub(r"\d+", lambda found: found[0][::-1], step.text), token_ids=())
        for step in row.segments
        if step.kind is Kind.STEP
    ]
    return steps_changed(row, turned) if turned else None


def _program(row: Solution) -> Solution | None:
    steps = [segment for segment in row.segments if segment.kind is Kind.STEP]
    made = abstracted([step.text for step in steps], row.question, "x{n}") if steps else None
    if made is None or not _gives(made.values, row.answer):
        return None
    ends = [len(step.text.rstrip()) for step in steps]
    lines = (_lines(text) + step.text[end:] for text, step, end in zip(made.texts, steps, ends, strict=True))
    code = iter([Segment(kind=Kind.CODE, text=line) for line in lines])
    return retold(row, [next(code) if segment.kind is Kind.STEP else segment for segment in row.segments])


def _gives(values: Mapping[str, Fraction], answer: str | None) -> bool:
    results = list(values.values())
    return answer is not None and is_number(answer.strip()) and rounds_to(results[-1], answer.strip())


def _lines(text: str) -> str:
    """`[12 + 5 = x1]` as `x1 = 12 + 5`, one line an equation."""
    return "\n".join(f"{one.right} = {written(one.left)}" for one in equations(text))


def _has_answer(row: Solution) -> bool:
    return any(segment.kind is Kind.ANSWER for segment in row.segments)


def _of_kinds(row: Solution, kinds: set[Kind]) -> Solution:
    return retold(row, [segment for segment in row.segments if segment.kind in kinds or segment.kind is Kind.END])


_FORMS: dict[str, Callable[[Solution], Solution | None]] = {
    "answer": _answer,
    "reasoned": _reasoned,
    "compressed": _compressed,
    "answer_first": _answer_first,
    "reversed": _reversed,
    "program": _program,
}
