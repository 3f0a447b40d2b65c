"""Joins: further files whose rows belong to the rows of a source, such as the story of a question.

joins: {story: {path: stories.jsonl, by: title}}
joins: {hints: {path: hints.jsonl, by: ch_list, key: identifier, show: "- {_text}", missing: leave_out}}
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from data_gen.errors import UserError, nearest
from data_gen.sources.columns import MISSING, paths, reach
from data_gen.sources.rows import Row, RowSource, file_source
from data_gen.sources.values import EXPECTED_TEXT, BadValue, shown, text_of

_COLUMN = re.compile(r"\{([^{}]+)\}")


class Join(BaseModel):
    """Rows of another file by key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path | None = None
    """The file (.jsonl, .jsonl.gz or .parquet). Null: the rows go without."""
    by: str = Field(min_length=1)
    """The column with the key of the other file's row, or with a list of keys."""
    key: str | None = None
    """The key's column in the other file. Default: as `by`."""
    show: str | None = None
    """Writes a row as text: `"- {text}"`. The rows of a list of keys are written one a line. Null: the row itself,
    whose columns are reached with a dot (`story.surface`)."""
    heading: str = ""
    """A line above the text, where there is any."""
    missing: Literal["refuse", "leave_out"] = "refuse"
    """What happens to a key that the file lacks. `leave_out` suits lists whose keys belong to several files."""


def joined(source: RowSource, joins: Mapping[str, Join]) -> RowSource:
    """The source with one more column a join. Joins without a path add nothing."""
    used = {name: join for name, join in joins.items() if join.path is not None}
    if not used:
        return source

    def rows() -> Iterator[tuple[str, Row]]:
        """The rows with their further columns. The joined files are read anew in every pass."""
        tables = {name: _Table(name, join) for name, join in used.items()}
        for place, row in source.rows():
            more = {name: table.value(row, place) for name, table in tables.items()}
            if taken := more.keys() & row.keys():
                name = min(taken)
                raise UserError(f"{place}: task.joins.{name}: the row has a column {name!r} already. Rename the join.")
            yield place, {**row, **more}

    return RowSource(source.name, rows)


class _Table:
    """The rows of a joined file by key."""

    def __init__(self, name: str, join: Join) -> None:
        self._field, self._join = f"task.joins.{name}", join
        assert join.path is not None
        if not join.path.is_file():
            raise UserError(
                f"{self._field}.path: no file {str(join.path)!r}. Point to a local copy with `--set "
                f"{self._field}.path=FILE`."
            )
        key = join.key or join.by
        self._rows: dict[str, Row] = {}
        for place, row in file_source(join.path).rows():
            if key not in row:
                raise UserError(f"{place}: no column {key!r} ({self._field}.key).{nearest(key, row)}")
            text = self._text(row[key], place, key)
            if self._rows.setdefault(text, row) is not row:
                raise UserError(f"{place}: {text!r} stands in {key!r} twice ({self._field}.key). Name a unique column.")

    def value(self, row: Row, place: str) -> Any:
        """What a row's join adds."""
        keys, show = reach(row, self._join.by), self._join.show
        if keys is MISSING:
            raise UserError(
                f"{place}: no column {self._join.by!r} ({self._field}.by).{nearest(self._join.by, paths(row))}"
            )
        if show is None:
            if isinstance(keys, list):
                raise UserError(
                    f"{place}: {self._join.by!r} holds a list. Say how its rows become text with {self._field}.show."
                )
            return self._found(keys, place)
        several = keys if isinstance(keys, list) else [keys]
        found = [one for one in (self._found(key, place) for key in several) if one is not None]
        lines = [self._shown(one, show, place) for one in found]
        return "\n".join([*([self._join.heading] if lines and self._join.heading else []), *lines])

    def _found(self, key: Any, place: str) -> Row | None:
        text = self._text(key, place, self._join.by)
        found = self._rows.get(text)
        if found is None and self._join.missing == "refuse":
            raise UserError(
                f"{place}: {self._join.path} has no row {text!r} ({self._field}).{nearest(text, self._rows)} Correct "
                f"the row, or set {self._field}.missing to `leave_out`."
            )
        return found

    def _shown(self, row: Row, show: str, place: str) -> str:
        return _COLUMN.sub(lambda match: self._cell(row, match[1], place), show)

    def _cell(self, row: Row, column: str, place: str) -> str:
        if column not in row:
            raise UserError(
                f"{place}: {self._field}.show: no column {column!r} in {self._join.path}.{nearest(column, row)}"
            )
        return self._text(row[column], place, column)

    def _text(self, value: Any, place: str, column: str) -> str:
        try:
            return text_of(value)
        except BadValue:
            raise UserError(
                f"{place}: column {column!r} ({self._field}): {EXPECTED_TEXT}; found {shown(value)}."
            ) from None
