"""Reading and writing the rows of artifacts, streamed so that memory does not grow with their number."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from data_gen.errors import UserError
from data_gen.records import Problem, Solution
from data_gen.tasks import TASKS, Task
from reasoning_train.recipe.schemas import SCHEMAS
from reasoning_train.stage_api import Input

BATCH_ROWS = 2_000
"""Rows held at a time while reading or writing."""


def read_rows(folder: Path, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """Rows of all Parquet files of a folder, in file order; `columns` limits what is read."""
    import pyarrow.parquet as pq

    for file in sorted(folder.glob("*.parquet")):
        for batch in pq.ParquetFile(file).iter_batches(BATCH_ROWS, columns=columns):
            yield from batch.to_pylist()


def write_rows(folder: Path, kind: str, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write rows to `folder/part-00000.parquet` with the schema of `kind`; returns how many there were."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    stream, written = iter(rows), 0
    schema, writer = SCHEMAS[kind]() if kind in SCHEMAS else None, None
    while batch := list(itertools.islice(stream, BATCH_ROWS)):
        table = pa.Table.from_pylist([dict(row) for row in batch], schema=schema)
        schema = table.schema
        writer = writer or pq.ParquetWriter(folder / "part-00000.parquet", schema, compression="zstd")
        writer.write_table(table)
        written += len(batch)
    if writer is None and schema is not None:
        pq.write_table(schema.empty_table(), folder / "part-00000.parquet")
    if writer is not None:
        writer.close()
    return written


def read_problems(source: Input) -> Iterator[Problem]:
    """Problems of a `problems` input."""
    return (Problem.from_row(row) for row in read_rows(source.path))


def read_solutions(source: Input) -> Iterator[Solution]:
    """Solutions of a `solutions` input."""
    return (Solution.from_row(row) for row in read_rows(source.path))


def load_task(source: Input) -> Task:
    """The task that a `problems` input came from, as its configuration says."""
    return build_task(json.loads((source.path / "task.json").read_text(encoding="utf-8")))


def build_task(config: Mapping[str, Any]) -> Task:
    """A task from its recipe mapping; UserError names an unknown task or field."""
    if "uses" not in config:
        raise UserError(f"task: `uses` is missing. Known: {', '.join(TASKS.names())}.")
    return TASKS.get(config["uses"]).model_validate(dict(config))
