"""`jsonl`: problems from any JSON Lines or Parquet file or Hub dataset, through a field map.

    task: {uses: jsonl, path: multiarith.jsonl, fields: {question: input, answer: target}, split: {train: 96, dev: 40,
        test: 128}}

One source can serve several splits, divided here, or each split has its own file (`paths`). Local files take precedence
over `hub`.
"""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field, model_validator

from data_gen.errors import UserError, nearest
from data_gen.records.problem import Problem
from data_gen.sources.begun import Begun
from data_gen.sources.division import Division, check_sizes, divide, empty, normalised, question_key
from data_gen.sources.fields import FieldMap
from data_gen.sources.hub import HubId
from data_gen.sources.joins import Join, joined
from data_gen.sources.repeats import Asked, Repeats, Steps
from data_gen.sources.rows import Row, RowSource, file_source, hub_source, length_of
from data_gen.sources.shots import Shots, examples_of
from data_gen.tasks import TASKS
from data_gen.tasks.base import Origin, Task

LOOKED_AT = 100
"""Number of rows of a file that are read when a recipe loads."""
READ_WHOLE = 4 << 20
"""A file of at most so many bytes is read whole then."""


@dataclass(frozen=True, slots=True)
class _Survey:
    """What a pass over a source has shown."""

    repeats: Repeats
    division: Division | None

    def numbers(self, split: str) -> frozenset[int] | None:
        """Row numbers of a dealt split; None for one that has a source of its own."""
        return self.division.rows[split] if self.division else None


@TASKS.register("jsonl")
class Jsonl(Task):
    """Rows of files or of a Hub dataset as problems. A question that several rows of one source ask counts once; their
    worked solutions are kept."""

    version: ClassVar[int] = 3

    path: Path | None = None
    """One local file (.jsonl, .jsonl.gz or .parquet), divided by `split`."""
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
    joins: dict[str, Join] = {}
    """Further files by key. Each gives the rows one more column, which has its name: `joins: {story: {path:
    stories.jsonl, by: title}}` for `fields: {question: "{story.surface} {guess}"}`."""
    shots: Shots | None = None
    """Worked examples of a split in every prompt. A recipe that loads writes them into `format.examples`."""
    begun: Begun | None = None
    """Shows the beginning of the worked steps below the question."""
    split: dict[str, int | None] = {}
    """Rows of each split. They are dealt from the only source, or from the one called `train` if there are several.
    Null takes the rest."""
    seed: int = Field(0, ge=0)
    """Seed that deals the rows. It is independent of the recipe's seed, so all recipe seeds use the same test set."""

    @model_validator(mode="after")
    def _sensible(self) -> Jsonl:
        if self.path and self.paths:
            raise ValueError("path and paths: expected one of them, got both")
        if self.hub and not self.hub_splits:
            raise ValueError("hub_splits: missing. Name the dataset's splits to use, e.g. `hub_splits: {test: test}`")
        if self.path and not self.split:
            raise ValueError(
                "split: missing. Say how to divide the file: `split: {train: 96, test: 128}`, or `split: {test: null}`"
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

    @property
    def has_gold(self) -> bool:
        """False: the field map names no answer."""
        return self.fields.answer is not None

    def splits(self) -> dict[str, int | None]:
        """Dealt splits with their sizes, the others with None."""
        others = {part: None for part in self._parts() if part != self._divided()}
        return {**self.split, **others}

    def files(self) -> dict[str, Path]:
        """`path`, or `paths.SPLIT` for each split, and `joins.NAME.path`. UserError if neither a file nor a Hub dataset
        is named."""
        self._require_source()
        own = {"path": self.path} if self.path else {f"paths.{name}": path for name, path in self.paths.items()}
        return own | {f"joins.{name}.path": join.path for name, join in self.joins.items() if join.path}

    def problems(self, split: str) -> Iterator[Problem]:
        """The split's problems in the order of their source. A row without gold has gold None; further rows with the
        same question and answer are its further worked solutions."""
        part = self._part_of(split)
        source, survey = self._source(part), self._survey(part)
        mine = survey.numbers(split)
        for number, (place, row) in enumerate(source.rows()):
            if number in mine if mine is not None else number not in survey.repeats.later:
                more = survey.repeats.solutions.get(number, ())
                yield _placed(self._problem(row, place, part, number), split, more)

    def origin(self, split: str) -> Origin:
        """The split's file or Hub split; what deals it, if it is dealt."""
        part = self._part_of(split)
        where = self._parts()[part]
        of_hub = f"{self.hub}@{self.revision} {self.subset or ''} {where}"
        source = str(where) if isinstance(where, Path) else of_hub
        if split not in self.split:
            return Origin(source, where if isinstance(where, str) else split)
        deal = self.model_dump(mode="json", include={"split", "seed"})
        deal |= self.fields.model_dump(include={"question", "choices", "group"})
        if self.joins:
            deal["joins"] = self.model_dump(mode="json", include={"joins"})["joins"]
        return Origin(source, split, json.dumps(deal))

    def left_out(self, split: str) -> dict[str, int]:
        """Rows that repeat a question of the split: `repeated`, or `other_answer` where they contradict the first one;
        and `group`, where the split was full before a group of rows ended."""
        survey = self._survey(self._part_of(split))
        lost = survey.division.lost[split] if survey.division else 0
        found = {**survey.repeats.dropped(survey.numbers(split)), "group": lost}
        return {reason: n for reason, n in found.items() if n}

    def look(self) -> None:
        """Read the first rows of every local file, and small files whole."""
        for part, where in self._parts().items():
            if isinstance(where, Path):
                self._look_at(part, where)

    def with_shots(self) -> Self:
        """The task with the examples that `shots` asks for. UserError for a Hub dataset: it is not read when a recipe
        loads."""
        if self.shots is None:
            return self
        if self.format.examples:
            raise UserError("task.shots: format.examples names worked examples already. Leave one of them out.")
        if self.shots.split in ("dev", "test"):
            raise UserError(
                f"task.shots.split: {self.shots.split!r} is evaluated. Name a split that is not, such as one of their "
                "own."
            )
        if not (self.path or self.paths):
            raise UserError(
                "task.shots: examples are read from local files only. Name them with `--set task.paths.SPLIT=FILE`, or "
                "write format.examples yourself."
            )
        shown = examples_of(self.problems(self.shots.split), self.shots, self.format)
        return self.model_copy(update={"format": self.format.model_copy(update={"examples": shown}), "shots": None})

    def _look_at(self, part: str, path: Path) -> None:
        source, divided = self._source(part), part == self._divided()
        for number, (place, row) in enumerate(itertools.islice(source.rows(), LOOKED_AT)):
            if number == 0:
                self.fields.check(row, place)
            self._problem(row, place, part, number)
        if path.stat().st_size <= READ_WHOLE:
            self._divide(part, None)  # answers are compared later: that may take a checker
        elif divided:
            check_sizes(self.split, length_of(path), source.name)

    def _part_of(self, split: str) -> str:
        """Name of the source that a split comes from. UserError if there is no such split or source."""
        self._require_source()
        if split not in self.splits():
            raise UserError(f"task.{split}: no split {split!r} in this task.{nearest(split, self.splits())}")
        return str(self._divided()) if split in self.split else split

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
        lacking = [name for name, join in self.joins.items() if join.path is None and self.fields.needs(name)]
        if lacking:
            raise UserError(
                f"task.joins.{lacking[0]}.path: no file, but task.fields reads its column. Name it with `--set "
                f"task.joins.{lacking[0]}.path=FILE`."
            )
        if self._divided() is not None and self._divided() not in self._parts():
            raise UserError(
                "task.split: divides the source called 'train', but there is no such source. Sources: "
                f"{', '.join(self._parts())}."
            )

    def _source(self, part: str) -> RowSource:
        where = self._parts()[part]
        if isinstance(where, str):
            return joined(hub_source(self.hub or "", self.revision, self.subset, where), self.joins)
        field = "path" if self.path else f"paths.{part}"
        if not where.is_file():
            raise UserError(
                f"task.{field}: no file {str(where)!r}. Point to a local copy with `--set task.{field}=FILE`."
            )
        return joined(file_source(where), self.joins)

    @cached_property
    def _surveys(self) -> dict[str, _Survey]:
        """Source -> what a pass over all its rows has shown."""
        return {}

    def _survey(self, part: str) -> _Survey:
        """One pass over a source: which rows repeat others, and how it is divided. Columns are checked on its first
        row, ids on all rows."""
        if part not in self._surveys:
            repeats = Repeats()
            self._surveys[part] = _Survey(repeats, self._divide(part, repeats))
        return self._surveys[part]

    def _divide(self, part: str, repeats: Repeats | None) -> Division | None:
        """How a source is divided; None if it is one split. All its rows are read, and entered into `repeats`.
        UserError for an empty source."""
        asked, name = self._entered(part, repeats), self._source(part).name
        if part == self._divided():
            return divide(asked, self.split, self.seed, name)
        if not sum(1 for _ in asked):
            raise empty(name)
        return None

    def _entered(self, part: str, repeats: Repeats | None) -> Iterator[tuple[str, str]]:
        """(question, group) of every row, which is entered into `repeats`."""
        ids: dict[str, bytes] = {}
        for number, (place, row) in enumerate(self._source(part).rows()):
            if number == 0:
                self.fields.check(row, place)
            problem = self._problem(row, place, part, number)
            key = question_key(problem.question)
            if self.fields.id is not None and ids.setdefault(problem.id, key) != key:
                raise UserError(
                    f"{place}: task.fields.id: {problem.id!r} stands in {self.fields.id!r} twice, for different "
                    "questions. Name a unique column."
                )
            if repeats is not None:
                same = functools.partial(self.same, problem)
                repeats.add(number, Asked(problem.question, problem.gold, problem.gold_steps, same))
            yield problem.question, problem.group

    def _problem(self, row: Row, place: str, part: str, number: int) -> Problem:
        """The problem of a row alone, which belongs to no split yet."""
        options = self.fields.options_of(row, place)
        question = options.shown(self.fields.text(row, place))
        gold, steps = self.fields.gold_and_steps(row, place, self.answer_after, as_json=self.grader.keeps_lists)
        group = self.fields.key(row, "group", place) or normalised(question)
        if self.begun is not None:
            question, steps = self.begun.parted(question, steps)
        if options.texts and gold is not None:
            gold = options.gold(gold) if self.answer_after else self.fields.letter(row, options, place)
        return Problem(
            id=self.fields.key(row, "id", place) or f"{part}/{number}",
            question=question,
            gold=gold,
            group=group,
            split="",
            gold_steps=steps,
            choices=options.texts,
            labels=options.own,
            payload=self.fields.payload_of(row, place),
            tags=self.fields.tags_of(row, place),
        )


def _placed(problem: Problem, split: str, more: Sequence[Steps]) -> Problem:
    """A problem of a split, with its further worked solutions."""
    worked = [steps for steps in (problem.gold_steps, *more) if steps]
    return replace(problem, split=split, gold_steps=worked[0] if worked else (), more_steps=tuple(worked[1:]))
