"""Access to rows by number, for stages that write rows in another order than they are stored."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from itertools import accumulate
from pathlib import Path
from typing import Any

from reasoning_train.store.rows import reading

KEPT = 4
"""Row groups kept decoded, so that a few interleaved passes over a folder do not decode one twice."""


class RowAccess:
    """Random access to the rows of a folder; at most `KEPT` row groups are in memory."""

    def __init__(self, folder: Path) -> None:
        import pyarrow.parquet as pq

        self._groups: list[tuple[Path, int]] = []
        sizes: list[int] = []
        for part in sorted(folder.glob("part-*.parquet")):
            with reading(part):
                metadata = pq.read_metadata(part)
            self._groups += [(part, i) for i in range(metadata.num_row_groups)]
            sizes += [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        self._starts = [0, *accumulate(sizes)]
        self._kept: OrderedDict[int, list[dict[str, Any]]] = OrderedDict()

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, number: int) -> dict[str, Any]:
        """The row of this number. IndexError if there is none."""
        if not 0 <= number < len(self):
            raise IndexError(f"row {number} of {len(self)}")
        group = bisect_right(self._starts, number) - 1
        return self._rows(group)[number - self._starts[group]]

    def _rows(self, group: int) -> list[dict[str, Any]]:
        import pyarrow.parquet as pq

        if group in self._kept:
            self._kept.move_to_end(group)
        else:
            part, index = self._groups[group]
            with reading(part), pq.ParquetFile(part, memory_map=False, page_checksum_verification=True) as file:
                self._kept[group] = file.read_row_group(index, use_threads=False).to_pylist()
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return self._kept[group]
