"""The field map: which columns hold question, answer, worked steps and choices. `values.py` makes text of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from data_gen.errors import UserError, nearest
from data_gen.sources.columns import MISSING, paths, reach
from data_gen.sources.options import RowOptions, read_options
from data_gen.sources.values import EXPECTED_TEXT, BadValue, json_of, question_of, shown, step_lines, text_of

_TEMPLATE_COLUMN = re.compile(r"\{([^{}]+)\}")
T = TypeVar("T")


class FieldMap(BaseModel):
    """Columns by role. A dot reaches into nested objects and lists (`question.stem`, `messages.0.content`,
    `solution.steps.*.text`); `question` may join columns: `"{Body} {Question}"`.

    Only text, numbers and truth values become text. Anything else (null, NaN, bytes, a list, an object) is refused with
    its row and column; `question` also takes a chat of one user message.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    question: str = Field(default="question", min_length=1)
    answer: str | None = Field(default="answer", min_length=1)
    """Null: there is no gold. Problems can then be sampled on, and nothing is verified."""
    answer_else: str | None = Field(default=None, min_length=1)
    """The column of the answer in rows whose `answer` is empty."""
    steps: str | None = None
    """A list of steps, or text that is split into lines."""
    choices: str | None = None
    """A list of texts, a list of `{label, text}` objects, one object with the lists `label` and `text`, or one of texts
    by label."""
    id: str | None = None
    """A unique id per row; problems have it as it is. Default: the name of the source and the row's position in it."""
    group: str | None = None
    """Rows of one group stay on one side of a split. Default: the question itself."""
    tags: dict[str, str] = {}
    """Tag -> its column, such as `{subject: type, level: level}`. A row without a value in the column lacks the tag.
    `proof.#` is the number of elements of the list in `proof`."""
    payload: dict[str, str] = {}
    """What the grader needs besides gold -> its column, such as `{tolerance: error}`. A row without a value lacks
    it."""

    def columns(self) -> list[tuple[str, str]]:
        """(role, column) of every column that the map names."""
        named = [(role, column) for role, column in self if isinstance(column, str)]
        named += [(f"tags.{tag}", column) for tag, column in self.tags.items()]
        named += [(f"payload.{name}", column) for name, column in self.payload.items()]
        return [(role, c) for role, column in named for c in (_TEMPLATE_COLUMN.findall(column) or [column])]

    def needs(self, name: str) -> bool:
        """Whether any role reads a column, or something inside it."""
        return any(column.partition(".")[0] == name for _, column in self.columns())

    def check(self, row: Mapping[str, Any], place: str) -> None:
        """UserError for a row that lacks a named column. It names the nearest existing column."""
        for role, column in self.columns():
            check_column(row, column, f"task.fields.{role}", place)

    def text(self, row: Mapping[str, Any], place: str) -> str:
        """The question's text, without its choices. UserError for a row that has none."""
        column = self.question
        if "{" in column:
            joined = _TEMPLATE_COLUMN.sub(lambda m: _read(text_of, row, m[1], "question", place), column)
        else:
            joined = _read(question_of, row, column, "question", place)
        if not joined.strip():
            raise UserError(
                f"{place}: no question in {column!r}. Correct or remove the row, or change task.fields.question."
            )
        return joined.strip()

    def gold_and_steps(
        self, row: Mapping[str, Any], place: str, answer_after: str | None, *, as_json: bool
    ) -> tuple[str | None, tuple[str, ...]]:
        """Gold text and worked steps of a row. A row without an answer, or with an empty one, has gold None.

        Args:
            row: The row.
            place: Where it is, for messages.
            answer_after: The answer is the text after the last occurrence of this mark; the text before it is the
                steps, unless they have a column.
            as_json: A list or an object as an answer becomes JSON.
        """
        read = _answer_as_json if as_json else _answer_text
        gold = self._optional(read, row, "answer", place) or self._optional(read, row, "answer_else", place) or None
        steps = self._optional(step_lines, row, "steps", place) or ()
        if gold is None or answer_after is None:
            return gold, steps
        before, mark, after = gold.rpartition(answer_after)
        if not mark:
            return None, steps
        return after.strip() or None, steps if self.has(row, "steps") else step_lines(before)

    def key(self, row: Mapping[str, Any], role: str, place: str) -> str | None:
        """The text in the column of `id` or `group`. None if the map names no column, and for a row without a
        group."""
        column = getattr(self, role)
        if column is None or (role == "group" and not self.has(row, role)):
            return None
        found = _read(text_of, row, column, role, place)
        if not found:
            raise UserError(f"{place}: column {column!r} (task.fields.{role}) is empty. Every row needs a value there.")
        return found

    def tags_of(self, row: Mapping[str, Any], place: str) -> dict[str, str]:
        """The row's tags as texts."""
        present = {tag: column for tag, column in self.tags.items() if reach(row, column) not in (None, MISSING)}
        found = {tag: _read(text_of, row, column, f"tags.{tag}", place) for tag, column in present.items()}
        return {tag: text for tag, text in found.items() if text}

    def payload_of(self, row: Mapping[str, Any], place: str) -> str:
        """What the grader needs besides gold, as JSON; empty if the row brings nothing."""
        found = {name: reach(row, column) for name, column in self.payload.items()}
        brought = {name: value for name, value in found.items() if value not in (None, MISSING, "")}
        try:
            return json_of(brought) if brought else ""
        except BadValue as error:
            raise UserError(f"{place}: task.fields.payload: {error}. Correct or remove the row.") from None

    def beside(self, answer: str, row: Mapping[str, Any]) -> FieldMap:
        """The map for rows that hold generations beside gold, which stands in the column `answer`. It leaves out what
        grading does not need, and the columns that `row`, the first, lacks."""
        bare: dict[str, Any] = {"answer": answer, "steps": None, "id": None, "group": None, "tags": {}}
        bare |= {role: None for role in ("answer_else", "choices") if not has_column(row, getattr(self, role) or "")}
        bare["payload"] = {name: column for name, column in self.payload.items() if has_column(row, column)}
        return self.model_copy(update=bare)

    def options_of(self, row: Mapping[str, Any], place: str) -> RowOptions:
        """The row's options; none if it has no choices."""
        return self._optional(read_options, row, "choices", place) or RowOptions()

    def letter(self, row: Mapping[str, Any], options: RowOptions, place: str) -> str | None:
        """The letter of the gold option; None if the row has none."""
        read = options.gold
        return self._optional(read, row, "answer", place) or self._optional(read, row, "answer_else", place)

    def has(self, row: Mapping[str, Any], role: str) -> bool:
        """Whether the row has a value for a role."""
        column = getattr(self, role)
        return column is not None and reach(row, column) not in (None, MISSING)

    def _optional(self, read: Callable[[Any], T], row: Mapping[str, Any], role: str, place: str) -> T | None:
        return _read(read, row, getattr(self, role), role, place) if self.has(row, role) else None


def _answer_text(value: Any) -> str:
    """As `text_of`, with advice for a list."""
    if isinstance(value, list):
        raise BadValue(f"{EXPECTED_TEXT}; found {shown(value)}; the graders `list` and `set` read lists")
    return text_of(value)


def _answer_as_json(value: Any) -> str:
    """As `text_of`, with lists and objects as JSON."""
    return json_of(value) if isinstance(value, list | Mapping) else text_of(value)


def has_column(row: Mapping[str, Any], column: str) -> bool:
    """Whether a row has a column, even without a value."""
    return reach(row, column) is not MISSING


def check_column(row: Mapping[str, Any], column: str, field: str, place: str) -> None:
    """UserError for a row without the column that `field` names. It names the nearest existing column."""
    if not has_column(row, column):
        raise UserError(f"{field}: no column {column!r} at {place}.{nearest(column, paths(row))}")


def read_column(read: Callable[[Any], T], row: Mapping[str, Any], column: str, field: str, place: str) -> T:
    """What `read` makes of a column's value. UserError with row, column and `field`, which names the column, for a
    value that it cannot read."""
    value = reach(row, column)
    try:
        if value is MISSING:
            raise BadValue("the row lacks it")
        return read(value)
    except BadValue as error:
        raise UserError(
            f"{place}: column {column!r} ({field}): {error}. Correct or remove the row, or name another "
            f"column{_inside(value, column)}."
        ) from None


def _read(read: Callable[[Any], T], row: Mapping[str, Any], column: str, role: str, place: str) -> T:
    return read_column(read, row, column, f"task.fields.{role}", place)


def _inside(value: Any, column: str) -> str:
    """A hint at what an object or a list holds."""
    if isinstance(value, Mapping | list) and value:
        return f", such as `{column}.{next(iter(value)) if isinstance(value, Mapping) else 0}`"
    return ""
