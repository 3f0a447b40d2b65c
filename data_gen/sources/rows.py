"""Rows of one dataset, streamed. Each has its place of origin, so that messages can name it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_gen.errors import UserError
from data_gen.sources.floats import row_reader

Row = dict[str, Any]
PARQUET_BATCH = 1024
"""Number of rows of a Parquet file in memory at a time."""


@dataclass(frozen=True, slots=True)
class RowSource:
    """A dataset whose rows can be read repeatedly: `RowSource("data/test.jsonl", lambda: json_lines(path))`."""

    name: str
    """Name in messages: a path, or a Hub id with its split."""
    rows: Callable[[], Iterator[tuple[str, Row]]]
    """Yields (place, row); a place is `file:line` or `file, row n`."""


def file_source(path: Path) -> RowSource:
    """A local JSON Lines or Parquet file, recognised by its suffix."""
    read = _parquet if path.suffix == ".parquet" else _json_lines
    return RowSource(str(path), lambda: read(path))


def hub_source(repo: str, revision: str, subset: str | None, split: str) -> RowSource:
    """One split of a Hub dataset that `reasoning-train fetch` has downloaded. It is read from its local snapshot, never
    from the network."""

    def rows() -> Iterator[tuple[str, Row]]:
        """Rows read through `datasets`, which supports the Hub's file layouts."""
        from datasets import load_dataset

        folder = hub_snapshot(repo, revision)
        rows = load_dataset(str(folder), subset, split=split)
        read = row_reader(rows.features.arrow_schema)
        for i, row in enumerate(rows):
            yield f"{repo} {split}, row {i}", read(row)

    return RowSource(f"{repo} ({split})", rows)


def hub_snapshot(repo: str, revision: str) -> Path:
    """The local folder of a Hub dataset at a revision. UserError if it has not been fetched."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repo, repo_type="dataset", revision=revision, local_files_only=True))
    except LocalEntryNotFoundError:
        raise UserError(
            f"task.hub: the dataset {repo!r} at {revision} is not on this machine. `reasoning-train fetch RECIPE` "
            "brings it; or name a local copy with `--set task.path=FILE` (`--set task.paths.SPLIT=FILE` where the "
            "splits are files of their own)."
        ) from None


def _json_lines(path: Path) -> Iterator[tuple[str, Row]]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield f"{path}:{number}", _json_object(line, f"{path}:{number}")


def _json_object(line: bytes, place: str) -> Row:
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UserError(
            f"{place}: not UTF-8 text ({error.reason} at byte {error.start}). Save the file as UTF-8."
        ) from None
    except json.JSONDecodeError as error:
        raise UserError(
            f"{place}: not JSON ({error.msg} at column {error.colno}). Expected one JSON object a line."
        ) from None
    if not isinstance(row, dict):
        raise UserError(f"{place}: expected a JSON object with named columns, found {type(row).__name__}.")
    return row


def _parquet(path: Path) -> Iterator[tuple[str, Row]]:
    from pyarrow import ArrowInvalid
    from pyarrow.parquet import ParquetFile

    try:
        file = ParquetFile(path)
    except ArrowInvalid as error:
        raise UserError(f"{path}: not a Parquet file ({error}).") from None
    read = row_reader(file.schema_arrow)
    rows = (row for batch in file.iter_batches(PARQUET_BATCH) for row in batch.to_pylist())
    for i, row in enumerate(rows):
        yield f"{path}, row {i}", read(row)
