"""The field map: which columns hold question, answer, worked steps and choices, and how their values become text."""

from __future__ import annotations

import json
import math
import re
import string
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from data_gen.errors import UserError, nearest
from data_gen.sources.floats import decimal_text

_NOTES = re.compile(r"<<[^<>]*>>")
_OPTION_MARK = re.compile(r"^\s*\(?[A-Ja-j][).:]\s*")
_TEMPLATE_COLUMN = re.compile(r"\{([^{}]+)\}")
_MISSING = object()


class FieldMap(BaseModel):
    """Columns by role. A dot reaches into nested objects (`question.stem`); `question` may join columns: `"{Body}
    {Question}"`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    question: str = Field(default="question", min_length=1)
    answer: str = Field(default="answer", min_length=1)
    steps: str | None = None
    """A list of steps, or text that is split into lines."""
    choices: str | None = None
    """A list of texts, a list of `{label, text}` objects, or one object with the lists `label` and `text`."""
    id: str | None = None
    """A unique id per row. Default: the row's position in its source."""
    group: str | None = None
    """Rows of one group stay on one side of a split. Default: the question itself."""
    tags: dict[str, str] = {}
    """Tag -> its column, such as `{subject: type, level: level}`. A row without a value in the column lacks the tag."""

    def columns(self) -> list[tuple[str, str]]:
        """(role, column) of every column that the map names."""
        named = [(role, column) for role, column in self if isinstance(column, str)]
        named += [(f"tags.{tag}", column) for tag, column in self.tags.items()]
        return [(role, c) for role, column in named for c in (_TEMPLATE_COLUMN.findall(column) or [column])]

    def check(self, row: Mapping[str, Any], place: str) -> None:
        """UserError for a row that lacks a named column. It names the nearest existing column."""
        for role, column in self.columns():
            if _reach(row, column) is _MISSING:
                raise UserError(f"task.fields.{role}: no column {column!r} at {place}.{nearest(column, _paths(row))}")

    def text(self, row: Mapping[str, Any], place: str) -> str:
        """The question's text, without its choices. UserError for a row that has none."""
        column = self.question
        if "{" in column:
            joined: str | None = _TEMPLATE_COLUMN.sub(lambda m: _as_text(_reach(row, m[1])) or "", column)
        else:
            joined = _as_text(_reach(row, column))
        if not joined or not joined.strip():
            raise UserError(
                f"{place}: no question in {column!r}. Mend or remove the row, or change task.fields.question."
            )
        return joined.strip()

    def tags_of(self, row: Mapping[str, Any]) -> dict[str, str]:
        """The row's tags as texts."""
        found = {tag: _as_text(_reach(row, column)) for tag, column in self.tags.items()}
        return {tag: text for tag, text in found.items() if text is not None}

    def value(self, row: Mapping[str, Any], role: str) -> Any:
        """The raw value of a role. None if the role has no column or the row has no value."""
        column = getattr(self, role)
        found = _reach(row, column) if column else None
        return None if found is _MISSING else found


def gold_and_steps(
    answer: Any, steps: Any, answer_after: str | None, *, as_json: bool = False
) -> tuple[str | None, tuple[str, ...]]:
    """Gold text and worked steps. With `answer_after` the answer is the text after its last occurrence, and the steps
    are the text before it. `as_json`: a list or an object becomes JSON, which keeps its types and its empty elements.

    >>> gold_and_steps("He has 2+3 = <<2+3=5>>5.\\n#### 5", None, "#### ")
    ('5', ('He has 2+3 = 5.',))
    """
    if as_json and isinstance(answer, list | Mapping):
        return json.dumps(answer, ensure_ascii=False), step_lines(steps)
    text = _as_text(answer)
    if text is None or answer_after is None:
        return text, step_lines(steps)
    before, mark, after = text.rpartition(answer_after)
    if not mark:
        return None, step_lines(steps)
    return after.strip() or None, step_lines(before if steps is None else steps)


def step_lines(value: Any) -> tuple[str, ...]:
    """Steps from a list or from lines of text, without calculator notes (`<<2+3=5>>`) and empty lines."""
    if value is None:
        return ()
    lines = value.splitlines() if isinstance(value, str) else [" ".join(str(v).split()) for v in value]
    return tuple(line for line in (_NOTES.sub("", raw).strip() for raw in lines) if line)


def read_choices(value: Any, place: str) -> list[tuple[str, str]]:
    """(label, text) of every choice. Labels are the row's own, else A, B, C, ... A letter in front of the text is
    removed."""
    if value is None:
        return []
    if isinstance(value, Mapping):
        value = [{"label": label, "text": text} for label, text in zip(value["label"], value["text"], strict=True)]
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) > len(string.ascii_uppercase):
        raise UserError(f"{place}: task.fields.choices: expected a list of at most 26 choices, found {value!r}.")
    letters = string.ascii_uppercase
    return [
        (str(c["label"]), str(c["text"])) if isinstance(c, Mapping) else (letters[i], _OPTION_MARK.sub("", str(c)))
        for i, c in enumerate(value)
    ]


def with_choices(question: str, choices: Sequence[tuple[str, str]]) -> str:
    """The question followed by its lettered options in order: `(A) bank`, `(B) library`."""
    return "\n".join(
        [question, *(f"({letter}) {text}" for letter, (_, text) in zip(string.ascii_uppercase, choices, strict=False))]
    )


def choice_letter(gold: Any, choices: Sequence[tuple[str, str]]) -> str | None:
    """The letter of the gold choice, which is given by its 0-based index, its label or its text. None if it matches
    none."""
    if isinstance(gold, int) and not isinstance(gold, bool):
        return string.ascii_uppercase[gold] if 0 <= gold < len(choices) else None
    wanted = str(gold).strip()
    for known in (
        [label for label, _ in choices],
        [text for _, text in choices],
        list(string.ascii_uppercase[: len(choices)]),
    ):
        for form in (wanted, wanted.strip("()").upper()):
            if form in known:
                return string.ascii_uppercase[known.index(form)]
    return None


def _as_text(value: Any) -> str | None:
    """A value as answer text: 51.0 as `51`, true as `yes`, a list joined by commas. None stays None."""
    if value is None or value is _MISSING:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and math.isfinite(value):
        return decimal_text(value)
    if isinstance(value, list):
        return ", ".join(_as_text(v) or "" for v in value) or None
    return str(value).strip() or None


def _reach(row: Any, column: str) -> Any:
    """The value of a column. If no column has the whole name, the name is a dotted path."""
    if isinstance(row, Mapping) and column in row:
        return row[column]
    head, dot, rest = column.partition(".")
    return _reach(row[head], rest) if dot and isinstance(row, Mapping) and head in row else _MISSING


def _paths(row: Mapping[str, Any]) -> list[str]:
    nested = [f"{name}.{inner}" for name, value in row.items() if isinstance(value, Mapping) for inner in value]
    return [*row, *nested]
