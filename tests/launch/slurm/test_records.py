"""What is read out of a job's records and log."""

from __future__ import annotations

import json
from pathlib import Path

from launch.slurm.jobs import ranges
from launch.slurm.records import last_error, read_records, requeues


def event(message: str) -> str:
    return json.dumps({"event": "error", "message": message, "internal": False})


def test_the_first_failing_process_speaks(tmp_path: Path) -> None:
    """The others of a torchrun fail because the first did."""
    log = tmp_path / "a.log"
    said = [
        event("of the attempt before"),
        "=== attempt 2 of job 7 on n1",
        event("3 rows, fewer than min_rows=5"),
        event("Connection closed"),
    ]
    log.write_text("\n".join([*said, "error: later"]), encoding="utf-8")
    assert last_error(log) == "3 rows, fewer than min_rows=5"


def test_a_script_speaks_where_no_worker_did(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("error: this job was queued again 3 times\n", encoding="utf-8")
    assert last_error(log) == "this job was queued again 3 times"
    log.write_text("Killed\n", encoding="utf-8")
    assert last_error(log) == "" and last_error(tmp_path / "absent.log") == ""


def test_half_a_line_is_no_line(tmp_path: Path) -> None:
    """A job may be killed while it writes."""
    record = tmp_path / "sample.shard.3"
    lines = [json.dumps({"state": "started", "restarts": n, "code": 0}) for n in (0, 1)] + ['{"state": "sta']
    Path(f"{record}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert [line["restarts"] for line in read_records(record)] == [0, 1]
    assert requeues(iter([record, tmp_path / "absent"])) == 1


def test_arrays_are_written_as_sbatch_reads_them() -> None:
    assert ranges((0, 1, 2, 5, 7, 8)) == "0-2,5,7-8" and ranges((4,)) == "4"
