"""Rows of one dataset, streamed. Each has its place of origin, so that messages can name it."""

from __future__ import annotations

import codecs
import gzip
import json
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

from data_gen.errors import UserError, first_line
from data_gen.sources.floats import row_reader

Row = dict[str, Any]
LONGEST_LINE = 64 << 20
"""Most bytes of a line of JSON."""


@dataclass(frozen=True, slots=True)
class RowSource:
    """A dataset whose rows can be read repeatedly: `RowSource("data/test.jsonl", lambda: json_lines(path))`."""

    name: str
    """Name in messages: a path, or a Hub id with its split."""
    rows: Callable[[], Iterator[tuple[str, Row]]]
    """Yields (place, row); a place is `file:line` or `file, row n`."""


def file_source(path: Path) -> RowSource:
    """A local JSON Lines file (also `.gz`) or Parquet file, recognised by its suffix."""
    if path.suffix == ".parquet":
        from data_gen.sources.parquet import parquet_rows

        return RowSource(str(path), lambda: parquet_rows(path))
    return RowSource(str(path), lambda: json_lines(path))


def length_of(path: Path) -> int:
    """At most how many rows a local file has, without reading them."""
    if path.suffix == ".parquet":
        from data_gen.sources.parquet import parquet_length

        return parquet_length(path)
    with opened(path) as stream:
        return 1 + sum(block.count(b"\n") for block in iter(lambda: stream.read(1 << 20), b""))


def hub_source(repo: str, revision: str, subset: str | None, split: str) -> RowSource:
    """One split of a Hub dataset that `reasoning-train fetch` has downloaded. It is read from its local snapshot, never
    from the network."""

    def rows() -> Iterator[tuple[str, Row]]:
        """Rows read through `datasets`, which supports the Hub's file layouts."""
        from datasets import load_dataset
        from datasets.exceptions import DatasetsError

        folder = hub_snapshot(repo, revision)
        try:
            rows = load_dataset(str(folder), subset, split=split)
            read = row_reader(rows.features.arrow_schema)
            for i, row in enumerate(rows):
                yield f"{repo} {split}, row {i}", read(row)
        except (ValueError, OSError, DatasetsError) as error:  # no such split or subset, files that are damaged
            raise UserError(
                f"task.hub: the split {split!r} of {repo!r} cannot be read ({first_line(error)}). Check "
                "task.hub_splits, task.subset and task.revision, or fetch it again."
            ) from error

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


def json_lines(path: Path) -> Iterator[tuple[str, Row]]:
    """Rows of a JSON Lines file. A byte order mark is skipped; a file whose name ends in `.gz` is decompressed."""
    with opened(path) as lines:
        number = 0
        while line := lines.readline(LONGEST_LINE + 1):
            number += 1
            place = f"{path}:{number}"
            if len(line) > LONGEST_LINE:
                raise UserError(f"{place}: the line has more than {LONGEST_LINE:,} bytes. Split or shorten the row.")
            if number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)
            if line.strip():
                yield place, _json_object(line, place)


@contextmanager
def opened(path: Path) -> Iterator[gzip.GzipFile | BufferedReader]:
    """The bytes of a file, decompressed if its name ends in `.gz`. UserError for a damaged one."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            yield stream
    except (EOFError, zlib.error, OSError) as error:
        raise UserError(f"{path}: the file cannot be read ({first_line(error)}). Bring a whole copy.") from None


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
    except RecursionError:
        raise UserError(f"{place}: the JSON is nested too deeply. Flatten or remove the row.") from None
    except ValueError:
        most = sys.get_int_max_str_digits()
        raise UserError(f"{place}: a number has more than {most} digits. Write it as text, or remove it.") from None
    if not isinstance(row, dict):
        raise UserError(f"{place}: expected a JSON object with named columns, found {type(row).__name__}.")
    return row
