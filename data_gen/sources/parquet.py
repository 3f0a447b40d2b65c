"""Rows of a Parquet file, a bounded number of bytes at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_gen.errors import UserError, first_line
from data_gen.sources.floats import row_reader

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.parquet import FileMetaData

BATCH_ROWS = 256
"""Most rows in memory at a time."""
BATCH_BYTES = 64 << 20
"""Approximate number of bytes in memory at a time, if there are fewer rows in them."""


def parquet_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, row) of every row. UserError for a file that is no Parquet file, or is damaged."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    number, what = 0, "not a Parquet file"
    try:
        with ParquetFile(path, page_checksum_verification=True) as file:
            what = "its rows cannot be read to the end"
            read = row_reader(file.schema_arrow)
            for batch in file.iter_batches(_batch_rows(file.metadata), use_threads=False):
                for row in _rows(batch):
                    yield f"{path}, row {number}", read(row)
                    number += 1
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}, row {number}: {what} ({first_line(error)}). Bring a whole copy.") from None
    except MemoryError:
        raise UserError(
            f"{path}, row {number}: there is not enough memory for the rows from here on. Remove those with very long "
            "values."
        ) from None


def parquet_length(path: Path) -> int:
    """Number of rows, from the footer."""
    import pyarrow as pa
    from pyarrow.parquet import read_metadata

    try:
        return int(read_metadata(path).num_rows)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: not a Parquet file ({first_line(error)}). Bring a whole copy.") from None


def _rows(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    """The rows of a batch. A dictionary in the file may make it larger than the footer says."""
    step = _within(batch.num_rows, batch.nbytes)
    for start in range(0, batch.num_rows, step):
        yield from batch.slice(start, step).to_pylist()


def _batch_rows(metadata: FileMetaData) -> int:
    size = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    return min(BATCH_ROWS, _within(metadata.num_rows, size))


def _within(rows: int, size: int) -> int:
    """How many of so many rows of this size fit into `BATCH_BYTES`, at least one."""
    return max(1, BATCH_BYTES * rows // max(1, size))
