"""The form of PRM800K's files (Lightman et al., arXiv 2305.20050): ratings of the completions of every step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from data_gen.sources.rows import Row
from data_gen.sources.values import BadValue, shown, text_of
from data_gen.step_forms import STEP_FORMS
from data_gen.step_forms.base import LabelledSteps, StepForm, column

_RATINGS = {1: True, 0: True, -1: False, None: None}
_UNFINISHED = ("give_up", "bad_problem")
"""Ends of a labelling that say nothing of the steps."""


@STEP_FORMS.register("prm800k")
class Prm800k(StepForm):
    """`{uses: prm800k}`: the path that the labeller took through the completions of every step.

    A neutral rating (0) counts as right, as in the paper's evaluation. A step that the labeller wrote is right. Where
    the path ends without a choice, the step is its first wrong completion, or else its first one. Rows that the
    labeller gave up, or whose problem is bad, hold no solution.
    """

    uses: Literal["prm800k"] = "prm800k"
    question: str = Field("question.problem", min_length=1)

    def solutions(self, row: Row, place: str) -> list[LabelledSteps]:
        """One or none."""
        label = column(row, "label", place, "", _object)
        if label.get("finish_reason") in _UNFINISHED:
            return []
        found = column(label, "steps", f"{place}, label", "", _path)
        return [LabelledSteps(steps=tuple(text for text, _ in found), labels=tuple(right for _, right in found))]


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise BadValue(f"expected an object; found {shown(value)}")
    return dict(value)


def _path(value: Any) -> list[tuple[str, bool | None]]:
    if not isinstance(value, list):
        raise BadValue(f"expected a list of steps; found {shown(value)}")
    return [_step(_object(step), i) for i, step in enumerate(value)]


def _step(step: Mapping[str, Any], i: int) -> tuple[str, bool | None]:
    """The text and the label of the step that the path takes."""
    chosen, completions = step.get("chosen_completion"), [_object(one) for one in step.get("completions") or []]
    if chosen is None and step.get("human_completion") is not None:
        return _text(step["human_completion"], i), True
    if not completions:
        raise BadValue(f"step {i} has no completions")
    if chosen is None:
        one = next((one for one in completions if one.get("rating") == -1), completions[0])
    elif isinstance(chosen, int) and 0 <= chosen < len(completions):
        one = completions[chosen]
    else:
        raise BadValue(f"step {i}: chosen_completion is {shown(chosen)}; expected 0 to {len(completions) - 1} or null")
    return _text(one, i), _rating(one.get("rating"), i)


def _rating(rating: Any, i: int) -> bool | None:
    if isinstance(rating, bool) or not isinstance(rating, int | None) or rating not in _RATINGS:
        raise BadValue(f"step {i}: the rating is {shown(rating)}; expected 1, 0, -1 or null")
    return _RATINGS[rating]


def _text(completion: Any, i: int) -> str:
    """The text of a completion; people's completions are texts in some files and objects in others."""
    text = completion.get("text") if isinstance(completion, Mapping) else completion
    if not isinstance(text, str):
        raise BadValue(f"step {i}: a completion has no text; found {shown(completion)}")
    return text_of(text)
