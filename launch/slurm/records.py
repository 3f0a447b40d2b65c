"""What jobs leave behind: the records that their scripts write, and the messages in their logs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from launch.events import parse_events
from reasoning_train.store.state_files import Shape, read_json_lines

TAIL_BYTES = 200_000
"""Bytes at the end of a log that are searched for the last error."""

ATTEMPT = "=== attempt "
"""Beginning of the line with which a job's script starts an attempt in its log."""


class _Record(Shape):
    """What a job's script writes when it starts and ends."""

    state: str
    restarts: int
    code: int


def read_records(record: Path) -> list[dict[str, Any]]:
    """The lines of `RECORD.jsonl`; none if the job has not started."""
    return list(read_json_lines(Path(f"{record}.jsonl"), _Record))


def requeues(jobs: Iterator[Path]) -> int:
    """How often the jobs were requeued."""
    return sum(line["state"] == "started" and line["restarts"] > 0 for record in jobs for line in read_records(record))


def last_error(log: Path) -> str:
    """The message of the process that failed first in the last attempt of a job; empty if there is none."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - TAIL_BYTES))
            lines = stream.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    begins = [i for i, line in enumerate(lines) if line.startswith(ATTEMPT)]
    lines = lines[begins[-1] :] if begins else lines
    errors = [event["message"] for line in lines for event in parse_events(line)[0] if event["event"] == "error"]
    plain = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return next(iter([*errors, *plain]), "")
