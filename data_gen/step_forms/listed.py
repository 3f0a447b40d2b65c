"""A list of steps beside the index of the first wrong one, as in ProcessBench (arXiv 2412.06559) and BIG-Bench-Mistake
(arXiv 2311.08516), or beside a label per step, as in trl's stepwise supervision."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from data_gen.sources.rows import Row
from data_gen.sources.values import BadValue, shown
from data_gen.step_forms import STEP_FORMS
from data_gen.step_forms.base import (
    LabelledSteps,
    StepForm,
    column,
    labels_until,
    optional_text,
    step_texts,
)

NONE = -1
"""What stands for no error besides null, whatever steps are counted from."""


@STEP_FORMS.register("listed")
class Listed(StepForm):
    """`{uses: listed, question: problem, first_wrong: label}` reads ProcessBench.

    `{uses: listed, question: input, first_wrong: mistake_index, answer: answer}` reads BIG-Bench-Mistake;
    `{uses: listed, question: prompt, steps: completions, labels: labels}` reads trl's stepwise supervision.
    """

    uses: Literal["listed"] = "listed"
    steps: str = Field("steps", min_length=1)
    first_wrong: str | None = Field(None, min_length=1)
    """Column of the first wrong step. Null and -1 say that there is none; a row without the column is refused."""
    counted_from: Literal[0, 1] = 0
    """Number of the first step. With 1, the number 0 also says that no step is wrong."""
    labels: str | None = Field(None, min_length=1)
    """Column of a list with a label per step: true and false, 1 and -1, `+` and `-`; null where there is none."""
    zero: Literal["right", "wrong"] | None = None
    """What a label 0 means: `right` where -1 is wrong (PRM800K's neutral steps), `wrong` where labels are 1 and 0."""
    answer: str | None = Field(None, min_length=1)
    """Column of the solution's final answer."""

    @model_validator(mode="after")
    def _one_source(self) -> Listed:
        if (self.first_wrong is None) == (self.labels is None):
            raise ValueError("first_wrong and labels: name one of the two columns")
        return self

    def solutions(self, row: Row, place: str) -> list[LabelledSteps]:
        """One."""
        steps = column(row, self.steps, place, "steps", step_texts)
        if self.labels is not None:
            labels = column(row, self.labels, place, "labels", lambda value: self._labels(value, steps))
        else:
            name = self.first_wrong or ""
            labels = column(row, name, place, "first_wrong", lambda value: self._until(value, len(steps)))
        return [LabelledSteps(steps=steps, labels=labels, answer=optional_text(row, self.answer, place, "answer"))]

    def _until(self, value: Any, steps: int) -> tuple[bool | None, ...]:
        """Labels from the number of the first wrong step."""
        if value is None:
            return labels_until(None, steps)
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if isinstance(value, bool) or not whole:
            raise BadValue(f"expected the number of a step, or null for no error; found {shown(value)}")
        number = int(value)
        if number == NONE or (number == 0 and self.counted_from == 1):
            return labels_until(None, steps)
        if not 0 <= number - self.counted_from < steps:
            last = steps - 1 + self.counted_from
            raise BadValue(
                f"expected a step from {self.counted_from} to {last}, or null or {NONE} for no error; found {number}. "
                "See form.counted_from"
            )
        return labels_until(number - self.counted_from, steps)

    def _labels(self, value: Any, steps: tuple[str, ...]) -> tuple[bool | None, ...]:
        if not isinstance(value, list | tuple):
            raise BadValue(f"expected a list with a label per step; found {shown(value)}")
        if len(value) != len(steps):
            raise BadValue(f"expected a label for each of {len(steps)} steps; found {len(value)}")
        return tuple(self._label(one, i) for i, one in enumerate(value))

    def _label(self, value: Any, i: int) -> bool | None:
        if value is None or isinstance(value, bool):
            return value
        if value == 0 and self.zero is None:
            raise BadValue(f"element {i} is 0, which some sources call neutral and others wrong; say so by form.zero")
        known: dict[Any, bool] = {1: True, -1: False, "+": True, "-": False, 0: self.zero == "right"}
        if not isinstance(value, int | float | str) or value not in known:
            raise BadValue(f"element {i}: expected true or false, 1 or -1, '+' or '-', or null; found {shown(value)}")
        return known[value]
