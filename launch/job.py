"""One job: a stage or a shard of it, as the runner hands it to the process that does it."""

from __future__ import annotations

import json
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Self

from reasoning_train.process.stopping import Stopped

FAILED, BAD_INPUT, STOPPED = 1, 3, 143
"""Exit codes of a job beside 0."""


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
    """File that receives everything that the process prints."""
    nproc: int = 1
    """Processes of a torchrun that do it together; 1: this process does it itself."""

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The job of `to_json`, parsed."""
        return cls(**{**data, "shard": tuple(data["shard"]) if data["shard"] else None})


def run_job(job: Job, report: Callable[[dict[str, Any]], None]) -> int:
    """Do a job in this process and return its exit code. What went wrong is reported as an `error` event and
    printed."""
    from data_gen.errors import UserError
    from reasoning_train.process.plugins import import_plugins
    from reasoning_train.store.plan_json import read_plan
    from reasoning_train.store.store import Store
    from reasoning_train.worker.run_node import run_node

    if job.nproc > 1:
        from launch.torchrun import run_torchrun

        return run_torchrun(job, report)
    signal.signal(signal.SIGTERM, _stop)
    try:
        import_plugins()
        outcome = run_node(
            read_plan(Path(job.plan)),
            job.node,
            Store(Path(job.store)),
            report=report,
            shard=job.shard,
            threads=job.threads,
        )
        report({"event": "outcome", "outcome": outcome})
        return 0
    except Stopped:
        print("stopped on request; progress is kept", flush=True)
        return STOPPED
    except UserError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        report({"event": "error", "message": str(error)})
        return BAD_INPUT
    except Exception as error:
        traceback.print_exc()
        report({"event": "error", "message": f"{type(error).__name__}: {error}", "internal": True})
        return FAILED


def _stop(number: int, frame: FrameType | None) -> None:
    # A second request must not tear the clean-up that the first one started.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Stopped
