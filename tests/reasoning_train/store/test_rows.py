"""Rows in Parquet: types of late columns, roll-over, extra columns, `datasets` reads them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_gen.errors import UserError
from reasoning_train.store import rows as rows_module
from reasoning_train.store.columns import RECORDS, schema_of
from reasoning_train.store.rows import CorruptRows, Rows, write_rows

TURN = pa.struct({"role": pa.string(), "text": pa.string()})
COUNTS = ("requests", "calls", "generated", "read", "scored")


def test_the_types_of_columns_follow_from_the_records() -> None:
    solutions = pa.schema(
        {
            "prompt": pa.string(),
            "completion": pa.string(),
            "problem_id": pa.string(),
            "sample": pa.int32(),
            "segments": pa.list_(
                pa.struct(
                    {
                        "kind": pa.string(),
                        "text": pa.string(),
                        "token_ids": pa.list_(pa.int32()),
                        "weight": pa.float32(),
                    }
                )
            ),
            "answer": pa.string(),
            "verdict": pa.string(),
            "finish": pa.string(),
            "reason": pa.string(),
            "score": pa.float64(),
            "question": pa.string(),
            "steps_ok": pa.bool_(),
            "step_labels": pa.list_(pa.bool_()),
            "prompt_ids": pa.list_(pa.int32()),
            "logprobs": pa.list_(pa.float32()),
            "teacher_ids": pa.list_(pa.list_(pa.int32())),
            "teacher_logprobs": pa.list_(pa.list_(pa.float32())),
            "group": pa.string(),
            "difficulty": pa.float64(),
            "temperature": pa.float64(),
            "weight": pa.float32(),
            "tags": pa.string(),
            "asked": pa.list_(TURN),
            "run": pa.int32(),
            "chain": pa.int32(),
            "turn": pa.int32(),
            "chosen": pa.bool_(),
            "value": pa.float64(),
            "notes": pa.list_(pa.string()),
            "charges": pa.list_(pa.struct({"role": pa.string()} | dict.fromkeys(COUNTS, pa.int64()))),
            "conversation": pa.list_(
                pa.struct(
                    {
                        "role": pa.string(),
                        "path": pa.string(),
                        "asked": pa.list_(TURN),
                        "replies": pa.list_(pa.string()),
                        "finishes": pa.list_(pa.string()),
                    }
                )
            ),
        }
    )
    assert schema_of("solutions") == solutions
    trees = schema_of("trees")
    assert trees is not None and "nodes" not in trees.names
    assert (trees.field("generated_tokens").type, trees.field("node").type) == (pa.int64(), pa.int32())
    assert schema_of("anything") is None


@pytest.mark.parametrize("kind", RECORDS)
def test_a_schema_has_the_fields_of_its_records(kind: str) -> None:
    fields = {f.name for record in RECORDS[kind] for f in dataclasses.fields(record)}
    schema = schema_of(kind)
    derived = {"solutions": {"completion"}, "pairs": {"margin"}}
    assert schema is not None
    assert set(schema.names) == (fields | derived.get(kind, set())) - ({"nodes"} if kind == "trees" else set())


@pytest.mark.parametrize("kind", RECORDS)
def test_rows_without_items_are_stored_as_those_with_items(kind: str, tmp_path: Path) -> None:
    """A table without samples and one with samples go together, by pyarrow and by `datasets`."""
    schema = schema_of(kind)
    assert schema is not None
    bare: dict[str, object] = {field.name: [] if pa.types.is_list(field.type) else None for field in schema}
    full = {name: _some(schema.field(name).type) for name in schema.names}
    for name, row in (("bare", bare), ("full", full)):
        (tmp_path / name).mkdir()
        write_rows(tmp_path / name, kind, [row])
    stored = [pq.read_table(tmp_path / name / "part-00000.parquet") for name in ("bare", "full")]
    assert stored[0].schema.remove_metadata() == stored[1].schema.remove_metadata() == schema
    assert pa.concat_tables(stored).to_pylist() == [bare, full]


def _some(of: pa.DataType) -> object:
    """A value of a type."""
    if pa.types.is_list(of):
        return [_some(of.value_type)]
    if pa.types.is_struct(of):
        return {field.name: _some(field.type) for field in of}
    return "text" if pa.types.is_string(of) else pa.scalar(1).cast(of).as_py()


def test_empty_and_none_columns_take_the_type_of_later_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "BATCH_CELLS", 2)
    rows = [
        {"a": 1, "ids": [], "note": None, "parts": []},
        {"a": 2.5, "ids": [3], "note": "x", "parts": [{"text": "t", "ids": []}]},
        {"a": 3, "ids": [4, 5], "note": None, "parts": [{"text": None, "ids": [1]}]},
    ]
    assert write_rows(tmp_path, "anything", rows) == 3
    assert list(Rows(tmp_path)) == rows
    assert len(Rows(tmp_path)) == 3
    assert [row for row in Rows(tmp_path, ["a"])] == [{"a": row["a"]} for row in rows]


def test_files_roll_over_and_do_not_depend_on_the_iterator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "SHARD_ROWS", 10)
    monkeypatch.setattr(rows_module, "BATCH_CELLS", 10)
    rows = [{"x": i} for i in range(25)]
    write_rows(tmp_path, "anything", rows)
    parts = sorted(tmp_path.glob("part-*.parquet"))
    assert [pq.read_metadata(part).num_rows for part in parts] == [10, 10, 5]
    assert list(Rows(tmp_path)) == rows


def test_a_generator_needs_a_schema(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="read twice"):
        write_rows(tmp_path, "anything", ({"x": i} for i in range(3)))
    assert write_rows(tmp_path, "problems", ({"id": str(i), "question": "?", "gold": None} for i in range(3))) == 3
    assert next(iter(Rows(tmp_path)))["gold_steps"] is None


def test_a_column_outside_the_schema_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="column 'extra', which its schema lacks"):
        write_rows(tmp_path, "problems", [{"id": "1", "extra": 1}])


def test_tables_of_other_packages_may_have_further_columns(tmp_path: Path) -> None:
    write_rows(tmp_path, "table", [{"policy": "a", "mean": None}, {"policy": "b", "mean": 0.5}])
    declared, schema = schema_of("table"), pq.read_schema(tmp_path / "part-00000.parquet").remove_metadata()
    assert declared is not None and schema == declared.append(pa.field("mean", pa.float64()))


def test_no_rows_make_a_readable_empty_file(tmp_path: Path) -> None:
    assert write_rows(tmp_path, "problems", []) == 0
    assert list(Rows(tmp_path)) == []
    assert len(list(tmp_path.glob("part-*.parquet"))) == 1


@pytest.mark.parametrize("at", [40, -5], ids=["data", "foot"])
def test_a_flipped_byte_is_noticed_and_the_file_named(tmp_path: Path, at: int) -> None:
    write_rows(tmp_path, "anything", [{"a": i, "text": "x" * i} for i in range(50)])
    part = tmp_path / "part-00000.parquet"
    bytes_ = bytearray(part.read_bytes())
    bytes_[at] ^= 1
    part.write_bytes(bytes_)
    with pytest.raises(CorruptRows, match="part-00000.parquet cannot be read"):
        list(Rows(tmp_path))
