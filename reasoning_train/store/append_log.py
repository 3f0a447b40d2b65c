"""The checksummed append log of a stage that works problem by problem: one line per finished problem. The process may
be killed at any moment.

A line is `crc32 head TAB rows`: eight hex digits over the rest, a small JSON head (`o` order, `k` key, `c` counts) and
the rows as JSON. A torn last line is removed when its writer opens the file again. A corrupt line elsewhere is
quarantined and its problem is made again. Logs `log-<k>-of-<n>.jsonl` of any sharding are read together; if two records
have the same key, the first is used.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import zlib
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reasoning_train.process import lease

SYNC_S = 1.0
"""At most this many seconds of records are lost if the machine loses power. A killed process loses none."""


def log_name(shard: tuple[int, int]) -> str:
    """File name of the log of shard (k, n)."""
    return f"log-{shard[0]}-of-{shard[1]}.jsonl"


class LogWriter:
    """Appends records to one log file. A lock ensures that only one process writes it at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._size = _cut_torn_tail(path)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        self._synced = time.monotonic()

    def append(self, order: int, key: str, rows: Sequence[Mapping[str, Any]], counts: Mapping[str, int]) -> None:
        """Write one record. The file is synced to disk at least every `SYNC_S` seconds of appending.

        Raises TakenOver, or OSError (disk full); the file then ends after the last whole record.
        """
        line = _line(order, key, rows, counts)
        _write_whole(self._file, line, self._size)
        self._size += len(line)
        if time.monotonic() - self._synced >= SYNC_S:
            self.sync()

    def sync(self) -> None:
        """Force everything to disk."""
        os.fsync(self._file)
        self._synced = time.monotonic()

    def close(self) -> None:
        """Sync and close."""
        self.sync()
        os.close(self._file)


def append_line(path: Path, line: bytes) -> None:
    """Append one line to a file, whole or not at all; a torn last line that a killed process left is removed first."""
    size = _cut_torn_tail(path)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        _write_whole(file, line, size)
    finally:
        os.close(file)


def _write_whole(file: int, line: bytes, size: int) -> None:
    """Write a line at the end of a file of `size` bytes. After an OSError (disk full) the file has its old size."""
    lease.require()
    try:
        written = os.write(file, line)
        while written < len(line):
            written += os.write(file, line[written:])
    except OSError:
        if lease.held():  # else another process has cut the torn line already, and written more
            os.ftruncate(file, size)
        raise


@dataclass(slots=True)
class LogIndex:
    """The location of each recorded problem. It takes about 150 bytes per problem, whatever the size of its rows."""

    files: list[Path]
    duplicates: int = 0
    """Dropped records whose key was already recorded."""
    corrupt: list[str] = field(default_factory=list)
    """`file:line` of quarantined records."""
    counts: Counter[str] = field(default_factory=Counter)
    """Summed counts of all kept records."""
    _order_of: dict[bytes, int] = field(default_factory=dict)
    _orders: array[int] = field(default_factory=lambda: array("q"))
    _file: array[int] = field(default_factory=lambda: array("i"))
    _offset: array[int] = field(default_factory=lambda: array("q"))

    def __len__(self) -> int:
        return len(self._orders)

    def order_of(self, key: str) -> int | None:
        """The order under which a key is recorded, or None."""
        return self._order_of.get(_digest(key))

    def records(self) -> Iterator[list[dict[str, Any]]]:
        """The rows of every record, sorted by order, read from disk one record at a time."""
        streams = [path.open("rb") for path in self.files]
        try:
            for i in sorted(range(len(self)), key=self._orders.__getitem__):
                stream = streams[self._file[i]]
                stream.seek(self._offset[i])
                yield json.loads(stream.readline().split(b"\t", 1)[1])
        finally:
            for stream in streams:
                stream.close()

    def _add(self, file: int, offset: int, head: dict[str, Any]) -> None:
        digest = _digest(head["k"])
        if digest in self._order_of:
            self.duplicates += 1
            return
        self._order_of[digest] = head["o"]
        self._orders.append(head["o"])
        self._file.append(file)
        self._offset.append(offset)
        self.counts.update(head["c"])


def read_logs(folder: Path, *, quarantine: bool = False) -> LogIndex:
    """Index of all logs in a folder. An unfinished last line is ignored; corrupt lines are listed and, with
    `quarantine`, copied to `quarantine.txt`. What is no file counts as absent."""
    index = LogIndex(files=sorted(path for path in folder.glob("log-*-of-*.jsonl") if path.is_file()))
    bad: list[bytes] = []
    for number, path in enumerate(index.files):
        for line_number, (offset, line) in enumerate(_lines(path), start=1):
            head = _parse_head(line)
            if head is not None:
                index._add(number, offset, head)
            else:
                index.corrupt.append(f"{path.name}:{line_number}")
                bad.append(f"{path.name}:{line_number} ".encode() + line)
    if bad and quarantine:
        (folder / "quarantine.txt").write_bytes(b"".join(bad))
    return index


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    offset = 0
    with path.open("rb") as stream:
        for line in stream:
            if line.endswith(b"\n"):
                yield offset, line
            offset += len(line)


def _line(order: int, key: str, rows: Sequence[Mapping[str, Any]], counts: Mapping[str, int]) -> bytes:
    head = json.dumps({"o": order, "k": key, "c": dict(counts)}, separators=(",", ":"))
    body = f"{head}\t{json.dumps([dict(row) for row in rows], separators=(',', ':'))}".encode()
    return b"%08x %s\n" % (zlib.crc32(body), body)


def _parse_head(line: bytes) -> dict[str, Any] | None:
    """The head of a valid line; None if it is corrupt."""
    body = line[9:-1]
    try:
        if line[:9] != b"%08x " % zlib.crc32(body):
            return None
        head: dict[str, Any] = json.loads(body.split(b"\t", 1)[0])
    except ValueError:
        return None
    return head


def whole_bytes(path: Path) -> int:
    """Bytes of a log up to the end of its last complete line; 0 if there is no log, or no file in its place."""
    if not path.is_file():
        return 0
    keep, chunk = path.stat().st_size, 1 << 16
    with path.open("rb") as stream:
        while keep > 0:
            start = max(0, keep - chunk)
            stream.seek(start)
            newline = stream.read(keep - start).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            keep = start
    return 0


def _cut_torn_tail(path: Path) -> int:
    """Remove an incomplete last line; return the remaining size."""
    lease.require()
    keep = whole_bytes(path)
    if path.is_file() and keep < path.stat().st_size:
        os.truncate(path, keep)
    return keep


def _digest(key: str) -> bytes:
    # Keys may be long. With 128 bits a collision, which would lose a problem, is practically impossible.
    return hashlib.blake2b(key.encode(), digest_size=16).digest()
