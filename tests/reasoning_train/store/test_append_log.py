"""The append log: torn tails, corrupt lines, duplicates, order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasoning_train.store.append_log import LogWriter, log_name, read_logs


def write(folder: Path, records: list[tuple[int, str, list[dict[str, Any]]]], shard: tuple[int, int] = (0, 1)) -> Path:
    path = folder / log_name(shard)
    writer = LogWriter(path)
    for order, key, rows in records:
        writer.append(order, key, rows, {"n": 1})
    writer.close()
    return path


def test_records_come_back_by_order_across_shardings(tmp_path: Path) -> None:
    write(tmp_path, [(2, "c", [{"x": 2}]), (0, "a", [{"x": 0}, {"x": 0.5}])], (0, 2))
    write(tmp_path, [(1, "b", [])], (1, 2))
    write(tmp_path, [(3, "d", [{"x": 3}]), (2, "c", [{"x": 99}])], (0, 1))
    index = read_logs(tmp_path)
    rows = [row["x"] for rows in index.records() for row in rows]
    assert rows[:3] == [0, 0.5, 99]  # log-0-of-1 is read before log-0-of-2: of two records of one key the first wins
    assert (len(index), index.duplicates, index.counts["n"]) == (4, 1, 4)
    assert [index.order_of(key) for key in "abcde"] == [0, 1, 2, 3, None]


@given(cut=st.integers(min_value=0, max_value=10_000), rows=st.lists(st.text(), min_size=1, max_size=5))
def test_a_torn_tail_costs_only_its_own_record(
    tmp_path_factory: pytest.TempPathFactory, cut: int, rows: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("log")
    path = write(folder, [(i, f"k{i}", [{"text": text}]) for i, text in enumerate(rows)])
    whole = path.read_bytes()
    cut %= len(whole)
    path.write_bytes(whole[:cut])
    left = whole[:cut].count(b"\n")
    assert len(read_logs(folder)) == left
    write(folder, [(i, f"k{i}", [{"text": text}]) for i, text in enumerate(rows)][left:])
    assert path.read_bytes() == whole
    assert [row["text"] for record in read_logs(folder).records() for row in record] == rows


@given(at=st.integers(min_value=0), flip=st.integers(min_value=1, max_value=255))
def test_any_flipped_byte_is_found(tmp_path_factory: pytest.TempPathFactory, at: int, flip: int) -> None:
    folder = tmp_path_factory.mktemp("log")
    path = write(folder, [(i, f"k{i}", [{"x": i}]) for i in range(3)])
    data = bytearray(path.read_bytes())
    data[at % len(data)] ^= flip
    path.write_bytes(bytes(data))
    rows = [row["x"] for record in read_logs(folder).records() for row in record]
    assert rows == sorted(set(rows) & {0, 1, 2})
    assert len(rows) < 3


def test_a_corrupt_line_is_named_quarantined_and_made_again(tmp_path: Path) -> None:
    path = write(tmp_path, [(i, f"k{i}", [{"x": i}]) for i in range(3)])
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b'"x":1', b'"x":7')
    path.write_bytes(b"".join(lines))
    index = read_logs(tmp_path)
    assert index.corrupt == ["log-0-of-1.jsonl:2"]
    assert not (tmp_path / "quarantine.txt").exists()
    read_logs(tmp_path, quarantine=True)
    assert (tmp_path / "quarantine.txt").read_bytes() == b"log-0-of-1.jsonl:2 " + lines[1]
    assert index.order_of("k1") is None
    write(tmp_path, [(1, "k1", [{"x": 1}])])
    assert [row["x"] for record in read_logs(tmp_path).records() for row in record] == [0, 1, 2]


def test_a_failed_write_leaves_whole_records(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path = write(tmp_path, [(0, "k0", [{"x": 0}])])
    before = path.read_bytes()
    writer = LogWriter(path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            writer.append(1, "k1", [{"x": "long" * 20}], {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    writer.append(1, "k1", [{"x": 1}], {})
    writer.close()
    assert len(read_logs(tmp_path)) == 2
    assert json.loads(path.read_bytes().splitlines()[1].split(b"\t")[1]) == [{"x": 1}]
