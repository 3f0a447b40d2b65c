"""Solutions as running text with a mark on the first wrong span, as in CHAMP (arXiv 2401.06961)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from data_gen.errors import UserError
from data_gen.sources.rows import Row
from data_gen.sources.values import BadValue, shown, text_of
from data_gen.step_forms import STEP_FORMS
from data_gen.step_forms.base import LabelledSteps, StepForm, column, labels_until


@STEP_FORMS.register("marked_span")
class MarkedSpan(StepForm):
    """`{uses: marked_span, id: identifier, marks: fws_annotations, named: "model|prompt"}` reads CHAMP.

    Every line of the text that is not blank is a step; the first wrong step is the one in which the span begins.
    """

    uses: Literal["marked_span"] = "marked_span"
    marks: str = Field("marks", min_length=1)
    """Column of an object: name of a solution -> `{text, start_idx, end_idx}`. Null as start says that nothing is
    wrong."""
    named: str = Field("source", min_length=1)
    """Tags that a solution's name gives. With `model|prompt`, `GPT-4|short` gives `model: GPT-4, prompt: short`."""

    def solutions(self, row: Row, place: str) -> list[LabelledSteps]:
        """One per mark."""
        return column(row, self.marks, place, "marks", lambda value: self._all(value, place))

    def _all(self, value: Any, place: str) -> list[LabelledSteps]:
        if not isinstance(value, Mapping):
            raise BadValue(f"expected an object of marked solutions; found {shown(value)}")
        return [self._one(name, mark, place) for name, mark in value.items()]

    def _one(self, name: str, mark: Any, place: str) -> LabelledSteps:
        if not isinstance(mark, Mapping) or not {"text", "start_idx"} <= mark.keys():
            raise BadValue(f"{name!r}: expected an object with `text` and `start_idx`; found {shown(mark)}")
        text, start = mark["text"], mark["start_idx"]
        if not isinstance(text, str):
            raise BadValue(f"{name!r}: expected a text; found {shown(text)}")
        lines = _lines(text)
        wrong = None if start is None else _line_at(lines, start, name)
        steps = tuple(text_of(line) for _, line in lines)
        return LabelledSteps(steps=steps, labels=labels_until(wrong, len(steps)), tags=self._tags(name, place))

    def _tags(self, name: str, place: str) -> dict[str, str]:
        tags, values = self.named.split("|"), name.split("|")
        if len(tags) != len(values):
            raise UserError(
                f"{place}: form.named is {self.named!r}, which names {len(tags)} parts, but the solution {name!r} has "
                f"{len(values)}."
            )
        return dict(zip(tags, values, strict=True))


def _lines(text: str) -> list[tuple[int, str]]:
    """(where it ends, line) of every line that is not blank."""
    found, at = [], 0
    for line in text.splitlines(keepends=True):
        at += len(line)
        if line.strip():
            found.append((at, line))
    return found


def _line_at(lines: list[tuple[int, str]], start: Any, name: str) -> int:
    """Number of the line that holds a character, or of the next one if the character ends a blank line."""
    if not isinstance(start, int) or isinstance(start, bool) or start < 0:
        raise BadValue(f"{name!r}: start_idx is {shown(start)}; expected the index of a character, or null")
    at = next((i for i, (end, _) in enumerate(lines) if start < end), None)
    if at is None:
        raise BadValue(f"{name!r}: start_idx is {start}, behind the last line of the text")
    return at
