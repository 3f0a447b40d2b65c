"""The interface of a step form: it takes a row of a file and returns the labelled solutions that the row holds."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import Field

from data_gen.errors import UserError, nearest
from data_gen.registry import Piece
from data_gen.sources.columns import MISSING, paths, reach
from data_gen.sources.rows import Row
from data_gen.sources.values import BadValue, question_of, shown, text_of, texts_of

_COLUMN = re.compile(r"\{([^{}]+)\}")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledSteps:
    """One solution: `LabelledSteps(steps=("2 + 3 = 5", "5 + 1 = 7"), labels=(True, False), answer="7")`."""

    steps: tuple[str, ...]
    labels: tuple[bool | None, ...]
    """One per step; None for a step that the source does not judge."""
    answer: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    """The solution's own tags, such as the model that wrote it."""


class StepForm(Piece, ABC):
    """Base of all step forms. A column may be a dotted path: `question.problem`.

    A row names its problem by its question or by its id.
    """

    question: str = Field("question", min_length=1)
    """Column of the question, or several: `"{Body} {Question}"`. It is compared with the questions of the problems
    without regard to case and white space."""
    id: str | None = Field(None, min_length=1)
    """Column of the problem's id, as in the task's `fields.id`. It is used instead of the question."""
    tags: dict[str, str] = {}
    """Tag of the solution -> its column, such as `{generator: generator}`. They are added to the problem's tags."""

    @abstractmethod
    def solutions(self, row: Row, place: str) -> list[LabelledSteps]:
        """The labelled solutions of a row, without the tags of `tags`. UserError, which names `place`, for a row that
        is not of this form."""

    def read(self, row: Row, place: str) -> list[tuple[LabelledSteps, Mapping[str, str]]]:
        """The solutions of a row, each with all of its tags."""
        own = {tag: column(row, name, place, f"tags.{tag}", text_of) for tag, name in self.tags.items()}
        return [(one, {**own, **one.tags}) for one in self.solutions(row, place)]

    def problem_of(self, row: Row, place: str) -> str:
        """The id or the question of the problem that a row is about."""
        if self.id is not None:
            return column(row, self.id, place, "id", text_of)
        if "{" in self.question:
            return _COLUMN.sub(lambda found: column(row, found[1], place, "question", text_of), self.question)
        return column(row, self.question, place, "question", question_of)


def column(row: Row, name: str, place: str, field_: str, read: Callable[[Any], T]) -> T:
    """What `read` makes of a column. UserError with place, column and the field that names it (empty: the form itself
    says it) for a row that lacks it or has another value there."""
    value, said = reach(row, name), f" (form.{field_})" if field_ else ""
    if value is MISSING:
        raise UserError(f"{place}: no column {name!r}{said}.{nearest(name, paths(row))}")
    try:
        return read(value)
    except BadValue as error:
        raise UserError(
            f"{place}: column {name!r}{said}: {error}. Correct or remove the row, or name another column."
        ) from None


def optional_text(row: Row, name: str | None, place: str, field_: str) -> str | None:
    """The text of a column; None if no column is named, or if its value is null or blank."""
    if name is None:
        return None
    return column(row, name, place, field_, lambda value: None if value is None else text_of(value)) or None


def step_texts(value: Any) -> tuple[str, ...]:
    """Steps from a list of texts. A blank one is kept, since labels count it. BadValue for anything else."""
    if not isinstance(value, list | tuple):
        raise BadValue(f"expected a list of texts, one a step; found {shown(value)}")
    return tuple(texts_of(value))


def labels_until(wrong: int | None, steps: int) -> tuple[bool | None, ...]:
    """The labels of a solution whose first wrong step is known. Nothing is said of the steps after it.

    >>> labels_until(1, 3), labels_until(None, 2)
    ((True, False, None), (True, True))
    """
    if wrong is None:
        return (True,) * steps
    return (*(True,) * wrong, False, *(None,) * (steps - wrong - 1))
