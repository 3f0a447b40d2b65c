"""`concat`: merges the rows of several sources: problems, solutions, trees, pairs or value targets.

both:   {uses: concat, sources: ["${task.train}", "${tasks.math.train}"]}
sft:    {uses: concat, sources: [{rows: "${stages.own}", share: 3}, {rows: "${task.train.gold}", share: 1}]}
so_far: {uses: concat, sources: ["${previous.kept}", "${stages.sample}"]}

Ids need no care. Ids of problems of `tasks.NAME` begin with `NAME/` from the start, so they are the same before and
after the merge, and rows made before it still match. If two sources have solutions (or trees) of the same problem,
those of the later source are renumbered where their number is taken. Merged problems record which task grades them.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from data_gen.engines.base import stream_seed
from data_gen.errors import UserError
from data_gen.mixing import Numbering, mixed_sizes
from reasoning_train.api.refs import Ref, RowsRef
from reasoning_train.api.stage import Context, Gate, Input, KindOf, Sizes, StageConfig, at_most, gate, stage
from reasoning_train.store.inputs import DISJOINT, read_tasks, without_places, write_tasks
from reasoning_train.store.row_access import RowAccess
from reasoning_train.store.rows import write_rows
from reasoning_train.store.units import NUMBER_COLUMN, Unit, read_units


class RowsWithShare(BaseModel):
    """Rows, and how many of them: `{rows: "${stages.kept}", share: 3, limit: 10000}`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    rows: RowsRef
    share: float | None = Field(None, gt=0)
    """Relative to the shares of the other sources, which must then all have one. The mixture is as large as the sources
    allow."""
    limit: int | None = Field(None, ge=1)
    """Maximum number of problems, solutions, trees, pairs or paths, chosen at random. Shares are taken after the
    limit."""


class ConcatConfig(StageConfig):
    """Which sources are merged, in order."""

    sources: list[RowsRef | RowsWithShare] = Field(min_length=1)
    """All of the same kind, from tasks with the same Format."""
    min_rows: Annotated[int, Gate()] = Field(1, ge=1)
    """Minimum number of problems, solutions, trees, pairs or paths."""

    @model_validator(mode="after")
    def _shares_for_all(self) -> ConcatConfig:
        without = [str(one.rows) for one in self.parts if one.share is None]
        if without and len(without) < len(self.parts):
            raise ValueError(
                f"sources: some have a share and {without[0]!r} has none; give every source a share, or none"
            )
        refs = [one.rows for one in self.parts]
        if twice := next((ref for ref in refs if refs.count(ref) > 1), None):
            raise ValueError(f"sources: {str(twice)!r} is given twice; name it once and raise its share instead")
        return self

    @property
    def parts(self) -> list[RowsWithShare]:
        """The sources, with bare references as `RowsWithShare`."""
        return [RowsWithShare(rows=one) if isinstance(one, Ref) else one for one in self.sources]

    @property
    def draws(self) -> bool:
        """Whether rows are chosen at random."""
        return any(one.share is not None or one.limit is not None for one in self.parts)


@stage("concat", version=1, outputs={"data": KindOf("sources")}, seeded=lambda config: config.draws, heavy=False)
def concat(config: ConcatConfig, ctx: Context) -> None:
    """Choose, then write. Rows of one problem are adjacent; problems are in the order in which the sources first name
    them."""
    inputs = [ctx.input(part.rows) for part in config.parts]
    kind, out = inputs[0].kind, ctx.output("data")
    chosen = _chosen(config, inputs, ctx)
    for part, units in zip(config.parts, chosen, strict=True):
        gate(bool(units), f"concat: nothing is left of {part.rows}. Raise its share or limit, or leave it out.")
    placed = _placed(config, chosen, kind, ctx)
    gate(
        len(placed) >= config.min_rows,
        f"concat: {len(placed)} of kind {kind} in all sources together, fewer than min_rows={config.min_rows}.",
    )
    write_rows(out, kind, _rows(placed, inputs, kind))
    ctx.count("out", len(placed))
    taken = Counter(one.source for one in placed)
    ctx.metric("sources", {str(part.rows): taken[i] for i, part in enumerate(config.parts)})
    if kind == "problems":
        write_tasks(out, _tasks(config, inputs))
        promises = [source.manifest["metrics"].get(DISJOINT, False) for source in inputs]
        ctx.metric(DISJOINT, all(promises))


@concat.estimate
def size(config: ConcatConfig, sizes: Sizes) -> dict[str, Any]:
    """At most all rows. A limit counts problems, solutions or trees, so it bounds the rows only if each of these is one
    row."""
    found = [(sizes(part.rows), part.limit) for part in config.parts]
    result = {}
    if all("rows" in one for one, _ in found):
        result["rows"] = sum(
            at_most(one["rows"], limit if one.get("records", one["rows"]) == one["rows"] else None) or 0
            for one, limit in found
        )
    if all("records" in one for one, _ in found):
        result["records"] = sum(at_most(one["records"], limit) or 0 for one, limit in found)
    return result


@dataclass(frozen=True, slots=True)
class _Placed:
    """A unit with its number in the output."""

    source: int
    unit: Unit
    number: int


def _chosen(config: ConcatConfig, inputs: Sequence[Input], ctx: Context) -> list[list[Unit]]:
    """The units of every source after limits and shares, in order."""
    every = [list(read_units(source)) for source in inputs]
    ctx.count("in", sum(map(len, every)))
    limited = [at_most(len(units), part.limit) or 0 for units, part in zip(every, config.parts, strict=True)]
    ctx.count("dropped.limit", sum(map(len, every)) - sum(limited))
    shares = [part.share for part in config.parts if part.share is not None]
    wanted = mixed_sizes(limited, shares) if shares else limited
    ctx.count("dropped.share", sum(limited) - sum(wanted))
    return [
        _draw(units, n, random.Random(stream_seed(ctx.seed, "concat", i)))
        for i, (units, n) in enumerate(zip(every, wanted, strict=True))
    ]


def _draw(units: list[Unit], n: int, rng: random.Random) -> list[Unit]:
    return units if n >= len(units) else [units[i] for i in sorted(rng.sample(range(len(units)), n))]


def _placed(config: ConcatConfig, chosen: Sequence[Sequence[Unit]], kind: str, ctx: Context) -> list[_Placed]:
    """All units in output order with their numbers. Repeated problems are counted and dropped."""
    by_problem: dict[str, list[_Placed]] = {}
    numbers = Numbering()
    for i, units in enumerate(chosen):
        for unit in units:
            known = by_problem.setdefault(unit.problem, [])
            if known and known[0].unit.group != unit.group:
                raise UserError(_two_problems(unit, config.parts[known[0].source].rows, config.parts[i].rows))
            if kind == "problems" and known:
                ctx.count("dropped.duplicate")
                continue
            number = numbers.of(i, unit.problem, unit.number) if kind in NUMBER_COLUMN else 0
            known.append(_Placed(i, unit, number))
    return [placed for units in by_problem.values() for placed in units]


def _two_problems(unit: Unit, first: Ref, second: Ref) -> str:
    return (
        f"concat: {first} and {second} have different problems under the id {unit.problem!r} (the second is of group "
        f"{unit.group[:80]!r}). Give each task a name of its own (`tasks: {{easy: ..., hard: ...}}`): its ids begin "
        "with it; or name a column of ids that no two files share (`task.fields.id`)."
    )


def _rows(placed: Sequence[_Placed], inputs: Sequence[Input], kind: str) -> Iterator[dict[str, Any]]:
    readers, column = [RowAccess(source.path) for source in inputs], NUMBER_COLUMN.get(kind)
    for one in placed:
        for number in range(one.unit.start, one.unit.start + one.unit.rows):
            row = readers[one.source][number]
            yield {**row, column: one.number} if column else row


def _tasks(config: ConcatConfig, inputs: Sequence[Input]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for part, source in zip(config.parts, inputs, strict=True):
        for name, task in read_tasks(source).items():
            # One that an earlier version wrote holds paths.
            task = without_places(task)
            if found.setdefault(name, task) != task:
                raise UserError(
                    f"concat: {part.rows} comes from a task {name!r} that differs from an earlier task of the same "
                    "name. Give the tasks different names."
                )
    return found
