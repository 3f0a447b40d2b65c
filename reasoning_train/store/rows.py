"""Rows on disk: written as Parquet in bounded memory, read back as a stream of dictionaries.

A folder holds `part-00000.parquet`, `part-00001.parquet`, ... with one schema. The schema comes from
`columns.py` for kinds that have one, else from a first pass over all rows, so that a column that is
empty or None in the first thousand rows still gets its type.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_gen.errors import LoadError, UserError
from reasoning_train.process import lease

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_CELLS = 100_000
"""Approximate number of values (list items included) in a row group. It bounds the memory of writing."""
SHARD_ROWS = 50_000
SHARD_BYTES = 64 << 20


EXTENSIBLE = ("table",)
"""Kinds whose rows may have columns of another package behind the declared ones; their types are inferred."""


class CorruptRows(LoadError):
    """A Parquet file cannot be read: it is torn, or its bytes have changed."""


class Rows:
    """The rows of a folder, in order. It can be iterated repeatedly; `len` reads only the footers. `columns` selects
    columns."""

    def __init__(self, folder: Path, columns: list[str] | None = None) -> None:
        self.folder, self._columns = folder, columns
        self._parts = sorted(folder.glob("part-*.parquet"))

    def __len__(self) -> int:
        import pyarrow.parquet as pq

        total = 0
        for part in self._parts:
            with reading(part):
                total += pq.read_metadata(part).num_rows
        return total

    def __iter__(self) -> Iterator[dict[str, Any]]:

        for part in self._parts:
            for batch in self._batches(part):
                yield from batch

    def _batches(self, part: Path) -> Iterator[list[dict[str, Any]]]:
        import pyarrow.parquet as pq

        with reading(part), pq.ParquetFile(part, memory_map=False, page_checksum_verification=True) as file:
            for batch in file.iter_batches(batch_size=256, columns=self._columns, use_threads=False):
                yield batch.to_pylist()


@contextmanager
def reading(part: Path) -> Iterator[None]:
    """Turn read errors into CorruptRows with the file's name."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        first = next(iter(str(error).splitlines()), "")
        raise CorruptRows(f"{part} cannot be read ({type(error).__name__}: {first[:200]}).") from error


def write_rows(folder: Path, kind: str, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write rows to Parquet files in `folder` and return their number.

    If `kind` has no schema, `rows` is iterated twice, so it must be a list or another re-iterable; the same holds for
    columns that another package adds to a table. UserError if a row has a column that the schema lacks; a missing
    column is null.
    """
    import pyarrow as pa

    schema = _schema_of(kind)
    if schema is None:
        if iter(rows) is rows:
            raise TypeError(
                f"rows of kind {kind!r}, which has no schema, are read twice; pass a list or a re-iterable, not an "
                "iterator"
            )
        schema = _infer(rows)
    elif kind in EXTENSIBLE and iter(rows) is not rows:
        schema = pa.unify_schemas([schema, _infer(more for row in rows if (more := _beyond(row, schema)))])
    writer = _ShardWriter(folder, schema)
    for batch in _batches(rows):
        writer.write(batch)
    writer.close()
    return writer.rows


class _ShardWriter:
    """Rolls over to the next file at `SHARD_ROWS` rows or `SHARD_BYTES` bytes."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self.folder, self.schema, self.rows = folder, schema, 0
        self._names = set(schema.names)
        self._part, self._in_part = 0, 0
        self._open()

    def _open(self) -> None:
        import pyarrow.parquet as pq

        self._path = self.folder / f"part-{self._part:05d}.parquet"
        self._writer = pq.ParquetWriter(self._path, self.schema, compression="zstd", write_page_checksum=True)

    def write(self, batch: list[dict[str, Any]]) -> None:
        """Append a batch as one row group."""
        import pyarrow as pa

        lease.require()
        if self._in_part >= SHARD_ROWS or (self._in_part and self._path.stat().st_size >= SHARD_BYTES):
            self._writer.close()
            self._part, self._in_part = self._part + 1, 0
            self._open()
        self._check_columns(batch)
        self._writer.write_table(pa.Table.from_pylist(batch, schema=self.schema))
        self._in_part += len(batch)
        self.rows += len(batch)

    def _check_columns(self, batch: list[dict[str, Any]]) -> None:
        for row in batch:
            extra = row.keys() - self._names
            if extra:
                raise UserError(
                    f"A row has the column {min(extra)!r}, which its schema lacks; it has "
                    f"{', '.join(self.schema.names)}."
                )

    def close(self) -> None:
        self._writer.close()


def _schema_of(kind: str) -> pa.Schema | None:
    from reasoning_train.store.columns import schema_of

    return schema_of(kind)


def _beyond(row: Mapping[str, Any], schema: pa.Schema) -> dict[str, Any]:
    """The columns of a row that its schema lacks."""
    return {name: value for name, value in row.items() if name not in schema.names}


def _infer(rows: Iterable[Mapping[str, Any]]) -> pa.Schema:
    import pyarrow as pa

    schema = pa.schema([])
    for batch in _batches(rows):
        names = dict.fromkeys(name for row in batch for name in row)
        found = pa.Table.from_pydict({name: [row.get(name) for row in batch] for name in names}).schema
        schema = pa.unify_schemas([schema, found], promote_options="permissive")
    return schema


def _batches(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Batches of whole rows of about `BATCH_CELLS` values."""
    batch: list[dict[str, Any]] = []
    cells = 0
    for row in rows:
        batch.append(dict(row))
        cells += _cells(row)
        if cells >= BATCH_CELLS:
            yield batch
            batch, cells = [], 0
    if batch:
        yield batch


def _cells(value: Any) -> int:
    if isinstance(value, Mapping):
        return sum(map(_cells, value.values()))
    if isinstance(value, (list, tuple)):
        return sum(map(_cells, value)) if value and isinstance(value[0], (Mapping, list, tuple)) else len(value) + 1
    return 1 + len(value) // 64 if isinstance(value, str) else 1
