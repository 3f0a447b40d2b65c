"""A damaged file of state counts as absent, is named, and ends nothing; a file of the user is replaced whole or not at
all."""

from __future__ import annotations

import contextlib
import json
import os
import resource
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.models.elsewhere import note_place
from reasoning_train.evaluation.report.gather import _Point as CurvePoint
from reasoning_train.store.append_log import append_line
from reasoning_train.store.manifest import FILE_NAME, read_manifest
from reasoning_train.store.partial import Partial
from reasoning_train.store.state_files import read_json, read_json_lines, write_json, write_text

DAMAGE: dict[str, Callable[[Path], object]] = {
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "empty": lambda path: os.truncate(path, 0),
    "zeros": lambda path: path.write_bytes(bytes(4096)),
    "a list": lambda path: path.write_text("[]"),
    "null": lambda path: path.write_text("null"),
    "text": lambda path: path.write_text('"text"'),
    "an empty object": lambda path: path.write_text("{}"),
    "no UTF-8": lambda path: path.write_bytes(b'{"a": "\xff\xfe"}'),
    "deep": lambda path: path.write_text("[" * 100_000),
    "a huge number": lambda path: path.write_text('{"number": ' + "9" * 5000 + "}"),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_whatever_a_file_of_state_holds_it_counts_as_absent_and_is_named(
    tmp_path: Path, damage: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "state.json"
    write_json(path, {"number": 3, "names": ["a"]})
    DAMAGE[damage](path)
    assert read_json(path, dict[str, int]) in (None, {})
    assert damage == "an empty object" or f"warning: {path} is damaged (" in capfd.readouterr().err


def test_an_absent_file_is_not_spoken_of(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert read_json(tmp_path / "none.json", dict[str, int]) is None
    assert list(read_json_lines(tmp_path / "none.jsonl", dict[str, int])) == []
    assert capfd.readouterr().err == ""


MANIFEST: dict[str, Any] = {
    "schema_version": 2,
    "uses": "sample",
    "key": "0" * 64,
    "node": "s",
    "recipe": "r",
    "seed": 0,
    "config": {},
    "code": {},
    "wall_s": 1.5,
    "inputs": {"a": {"key": "1" * 64, "digest": "2" * 64}},
    "outputs": {"data": {"kind": "problems", "rows": 1, "bytes": 3, "digest": "3", "files": {"x": [3, "4"]}}},
    "counts": {"out": 1},
    "metrics": {},
}


def test_a_manifest_without_any_of_the_fields_that_others_read_counts_as_absent(tmp_path: Path) -> None:
    write_json(tmp_path / FILE_NAME, MANIFEST)
    assert read_manifest(tmp_path) == MANIFEST
    for name in MANIFEST:
        for wrong in ({k: v for k, v in MANIFEST.items() if k != name}, {**MANIFEST, name: ["x"]}):
            write_json(tmp_path / FILE_NAME, wrong)
            assert read_manifest(tmp_path) is None, name


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(MANIFEST)), inner, max_size=4),
    max_leaves=8,
)


@given(name=st.sampled_from(list(MANIFEST)), value=JSON)
def test_what_is_read_as_a_manifest_has_its_shape(
    tmp_path_factory: pytest.TempPathFactory, name: str, value: Any
) -> None:
    folder = tmp_path_factory.getbasetemp() / "manifest"
    folder.mkdir(exist_ok=True)
    write_json(folder / FILE_NAME, {**MANIFEST, name: value})
    found = read_manifest(folder)
    if found is not None:
        assert all(len(files) == 2 for output in found["outputs"].values() for files in output["files"].values())
        assert all(isinstance(entry["key"], str) for entry in found["inputs"].values())
        assert isinstance(sum(found["counts"].values()), int)
        assert isinstance(found["wall_s"], (int, float))


HISTORY = [{"attempt": 1, "step": 10, "loss": 2.0}, {"attempt": 1, "step": 20, "loss": 1.0}]


@pytest.mark.parametrize(
    "line", [b'{"attempt": 1, "step": 15, "lo\n', b"\xff\xfe{}}\n", b"{}\n", b"[]\n", b'{"attempt": 1, "step": "x"}\n']
)
def test_damaged_lines_of_the_curves_are_left_out(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "history-0-of-1.jsonl"
    first, second = (json.dumps(point).encode() + b"\n" for point in HISTORY)
    path.write_bytes(first + line + second)
    assert Partial(tmp_path).history() == [{"step": 10, "loss": 2.0}, {"step": 20, "loss": 1.0}]


def test_a_torn_end_of_the_curves_is_cut_before_the_next_point(tmp_path: Path) -> None:
    path = tmp_path / "history-0-of-1.jsonl"
    first, second = (json.dumps(point).encode() + b"\n" for point in HISTORY)
    path.write_bytes(first + second[:20])
    assert Partial(tmp_path).history() == [{"step": 10, "loss": 2.0}]
    append_line(path, second)
    assert path.read_bytes() == first + second
    assert Partial(tmp_path).history()[1] == {"step": 20, "loss": 1.0}


@contextlib.contextmanager
def no_space_beyond(size: int) -> Iterator[None]:
    """No file of this process grows beyond so many bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_point_that_finds_no_space_is_not_torn(tmp_path: Path) -> None:
    path = tmp_path / "history-0-of-1.jsonl"
    first, second = (json.dumps(point).encode() + b"\n" for point in HISTORY)
    path.write_bytes(first)
    with no_space_beyond(len(first) + 9), pytest.raises(OSError, match="File too large"):
        append_line(path, second)
    assert path.read_bytes() == first


def test_a_text_that_finds_no_space_leaves_the_old_one(tmp_path: Path) -> None:
    path, link = tmp_path / "report.md", tmp_path / "README.md"
    path.write_text("tables of last year")
    path.chmod(0o640)
    link.symlink_to(path)
    with no_space_beyond(5), pytest.raises(OSError, match="File too large"):
        write_text(link, "tables of this year")
    assert path.read_text() == "tables of last year"
    write_text(link, "tables of this year\r\n")
    assert path.read_bytes() == b"tables of this year\r\n"
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert sorted(found.name for found in tmp_path.iterdir()) == ["README.md", "report.md"]


@pytest.mark.parametrize(
    "write",
    [lambda root, n: write_json(root / "a.json", {"n": n}), lambda root, n: note_place(root, "a", root / str(n))],
    ids=["state", "places"],
)
def test_writers_of_one_number_of_process_do_not_meet(write: Callable[[Path, int], None], tmp_path: Path) -> None:
    """As in two containers over one store; here they are threads."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: write(tmp_path, n), range(100)))
    [path] = (path for path in tmp_path.rglob("*") if path.is_file())
    assert path.name == "a.json" and json.loads(path.read_text())


def test_a_damaged_state_of_a_shard_keeps_its_number_of_attempts(tmp_path: Path) -> None:
    partial = Partial(tmp_path)
    (tmp_path / "attempts-0-of-1.json").write_text('{"number": 3, "wal')
    (tmp_path / "attempts-x-of-y.json").write_text("{}")
    (tmp_path / "history-0-of-1.jsonl").write_text('{"attempt": 3, "step": 5}\n')
    assert partial.read((0, 1)).number == 3
    assert list(partial.shards()) == [(0, 1)]
    assert not partial.read((0, 1)).done


def test_curves_of_a_published_artifact_are_read_around_damage(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text('{"step": 1, "loss": 2}\n{"loss": 3}\n{"step": 2, "loss": [1]}\n{"step": 3, "loss": NaN}\n{"st')
    assert [point["step"] for point in read_json_lines(path, CurvePoint)] == [1, 3]
