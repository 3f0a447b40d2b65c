"""`jsonl`: problems from any JSON Lines or Parquet file or Hub dataset, through a field map.

    task: {uses: jsonl, path: multiarith.jsonl, fields: {question: input, answer: target}, split: {train: 96, dev: 40,
        test: 128}}

One source can serve several splits, divided here, or each split has its own file (`paths`). Local files take precedence
over `hub`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from pydantic import Field, model_validator

from data_gen.errors import UserError, nearest
from data_gen.records.problem import Problem
from data_gen.sources.division import Division, divide, normalised, question_key
from data_gen.sources.fields import FieldMap, choice_letter, gold_and_steps, read_choices, with_choices
from data_gen.sources.hub import HubId
from data_gen.sources.rows import Row, RowSource, file_source, hub_source
from data_gen.tasks import TASKS
from data_gen.tasks.base import Task

log = logging.getLogger(__name__)


@TASKS.register("jsonl")
class Jsonl(Task):
    """Rows of files or of a Hub dataset as problems. Exact repeats of a question within one source count once."""

    version: ClassVar[int] = 2

    path: Path | None = None
    """One local file (.jsonl or .parquet), divided by `split`."""
    paths: dict[str, Path] = {}
    """One local file per split."""
    hub: HubId | None = None
    """Dataset id on the Hub, read from its local snapshot. It is used if no local file is named."""
    revision: str = "main"
    subset: str | None = None
    hub_splits: dict[str, str] = {}
    """Our split names -> the dataset's; `{train: train, test: test}`."""
    fields: FieldMap = FieldMap()
    answer_after: str | None = Field(default=None, min_length=1)
    """Mark in the answer column (`"#### "`). The answer is the text after its last occurrence, the worked steps are the
    text before it."""
    split: dict[str, int | None] = {}
    """Rows of each split. They are dealt from the only source, or from the one called `train` if there are several.
    Null takes the rest."""
    seed: int = 0
    """Seed that deals the rows. It is independent of the recipe's seed, so all recipe seeds use the same test set."""

    @model_validator(mode="after")
    def _sensible(self) -> Jsonl:
        if self.path and self.paths:
            raise ValueError("path and paths: expected one of them, got both")
        if self.hub and not self.hub_splits:
            raise ValueError(
                "hub_splits: missing. Say which of the dataset's splits serve, e.g. `hub_splits: {test: test}`"
            )
        if self.path and not self.split:
            raise ValueError(
                "split: missing. Say which splits the file serves: `split: {train: 96, test: 128}`, or `split: {test: "
                "null}`"
            )
        if sum(size is None for size in self.split.values()) > 1 or any(
            size is not None and size < 1 for size in self.split.values()
        ):
            raise ValueError(f"split: expected sizes of at least 1, and null for at most one split; got {self.split}")
        return self

    @property
    def disjoint_splits(self) -> bool:
        """True: all splits are dealt from one source."""
        return bool(self.split) and len(self._parts()) == 1

    def splits(self) -> dict[str, int | None]:
        """Dealt splits with their sizes, the others with None."""
        others = {part: None for part in self._parts() if part != self._divided()}
        return {**self.split, **others}

    def files(self) -> dict[str, Path]:
        """`path`, or `paths.SPLIT` for each split. UserError if neither a file nor a Hub dataset is named."""
        self._require_source()
        return {"path": self.path} if self.path else {f"paths.{name}": path for name, path in self.paths.items()}

    def problems(self, split: str) -> Iterator[Problem]:
        """The split's problems in the order of their source. A row without gold has gold None."""
        self._require_source()
        if split not in self.splits():
            raise UserError(f"task.{split}: no split {split!r} in this task.{nearest(split, self.splits())}")
        part = self._divided() if split in self.split else split
        source = self._source(part)
        mine = self._division.rows[split] if split in self.split else None
        rows = self._rows(source) if mine is not None else self._distinct(source)
        empty = True
        for number, (place, row) in enumerate(rows):
            if mine is None or number in mine:
                empty = False
                yield self._problem(row, place, split, str(part), number)
        if empty:
            raise UserError(f"{source.name}: the dataset is empty; expected at least one row.")

    def _parts(self) -> dict[str, Path | str]:
        """Sources by name: a path, or the name of a Hub split."""
        if self.path:
            return {"path": self.path}
        return {**self.paths} if self.paths else {**self.hub_splits}

    def _divided(self) -> str | None:
        """Name of the part that `split` divides. None if nothing is divided."""
        parts = self._parts()
        if not self.split:
            return None
        return next(iter(parts)) if len(parts) == 1 else "train"

    def _require_source(self) -> None:
        if not self._parts():
            raise UserError(
                "task.path: no data. Name a local file with `--set task.path=FILE`, a file a split with `--set "
                "task.paths.SPLIT=FILE`, or a Hub dataset with task.hub."
            )
        if self._divided() is not None and self._divided() not in self._parts():
            raise UserError(
                "task.split: divides the source called 'train', and there is none. Sources: "
                f"{', '.join(self._parts())}."
            )

    def _source(self, part: str | None) -> RowSource:
        where = self._parts()[part or ""]
        if isinstance(where, str):
            return hub_source(self.hub or "", self.revision, self.subset, where)
        field = "path" if self.path else f"paths.{part}"
        if not where.is_file():
            raise UserError(
                f"task.{field}: no file {str(where)!r}. Point to a local copy with `--set task.{field}=FILE`."
            )
        return file_source(where)

    @cached_property
    def _division(self) -> Division:
        source = self._source(self._divided())
        division = divide(
            (self._asked(row, place) for place, row in self._rows(source)), self.split, self.seed, source.name
        )
        log.info("%s: %d repeated questions dropped", source.name, division.duplicates)
        return division

    def _rows(self, source: RowSource) -> Iterator[tuple[str, Row]]:
        """The source's rows. Columns are checked on the first row, ids on all rows."""
        ids: set[str] = set()
        for number, (place, row) in enumerate(source.rows()):
            if number == 0:
                self.fields.check(row, place)
            if self.fields.id is not None:
                known = str(self.fields.value(row, "id"))
                if known in ids:
                    raise UserError(
                        f"{place}: task.fields.id: {known!r} stands in {self.fields.id!r} twice. Name a unique column."
                    )
                ids.add(known)
            yield place, row

    def _distinct(self, source: RowSource) -> Iterator[tuple[str, Row]]:
        """The source's rows, except those whose question an earlier row asks."""
        seen: set[bytes] = set()
        total = 0
        for place, row in self._rows(source):
            total += 1
            key = question_key(self._asked(row, place)[0])
            if key not in seen:
                seen.add(key)
                yield place, row
        log.info("%s: %d repeated questions dropped", source.name, total - len(seen))

    def _asked(self, row: Row, place: str) -> tuple[str, str]:
        """The question with its choices, and its group."""
        question = with_choices(self.fields.text(row, place), read_choices(self.fields.value(row, "choices"), place))
        return question, str(self.fields.value(row, "group") or normalised(question))

    def _problem(self, row: Row, place: str, split: str, part: str, number: int) -> Problem:
        question, group = self._asked(row, place)
        choices = read_choices(self.fields.value(row, "choices"), place)
        gold, steps = gold_and_steps(
            self.fields.value(row, "answer"),
            self.fields.value(row, "steps"),
            self.answer_after,
            as_json=self.grader.keeps_lists,
        )
        return Problem(
            id=f"{part}/{number if self.fields.id is None else self.fields.value(row, 'id')}",
            question=question,
            gold=gold if not choices or gold is None else choice_letter(self.fields.value(row, "answer"), choices),
            group=group,
            split=split,
            gold_steps=steps,
            choices=tuple(text for _, text in choices),
            tags=self.fields.tags_of(row),
        )
