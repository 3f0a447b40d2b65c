"""One job: a stage or one of its shards, as the runner passes it to a process."""

from __future__ import annotations

import json
import signal
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Self

from reasoning_train.process.stopping import Stopped
from reasoning_train.worker.context import Report
from reasoning_train.worker.work import Assignment, work


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """E.g. `Job(id="a.1-of-2", plan="plan.json", node="a", shard=(1, 2), store="store", threads=1, heavy=True,
    log="a.log")`."""

    id: str
    plan: str
    """Path of the plan as JSON."""
    node: str
    shard: tuple[int, int] | None
    store: str
    threads: int
    heavy: bool
    log: str
    """File for everything that the process prints."""
    nproc: int = 1
    """Number of torchrun processes that run it together. 1: this process runs it itself."""

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The job from the parsed JSON of `to_json`."""
        return cls(**{**data, "shard": tuple(data["shard"]) if data["shard"] else None})


def run_job(job: Job, report: Report) -> int:
    """Run a job in this process and return its exit code. SIGTERM stops it at once."""
    signal.signal(signal.SIGTERM, _stop)
    assignment = Assignment(
        recipe=Path(job.plan), stage=job.node, store=Path(job.store), shard=job.shard, threads=job.threads
    )
    return work(assignment, report)


def _stop(number: int, frame: FrameType | None) -> None:
    # A second request must not interrupt the clean-up after the first one.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Stopped
