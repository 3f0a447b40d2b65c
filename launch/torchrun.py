"""Runs a stage in several processes of this machine by torchrun, for `run --launcher torchrun`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from launch.endings import REST, ending
from launch.events import parse_events
from launch.job import Job
from reasoning_train.api.plan import StageNode
from reasoning_train.api.stage import STAGES
from reasoning_train.worker.distributed import devices_of
from reasoning_train.worker.work import DONE, FAILED, STOPPED, TAKEN_OVER


def wants_torchrun(node: StageNode) -> bool:
    """Whether a node runs under torchrun: trainers, which train together, and stages that run a model over problems,
    whose ranks are shards."""
    stage = STAGES.get(node.uses)
    return stage.distributed or (stage.unit == "problem" and "engine" in node.config and devices_of(node) > 0)


def run_torchrun(job: Job, report: Callable[[dict[str, Any]], None]) -> int:
    """Run a job in `job.nproc` processes and return its exit code. Their events are forwarded; their other output is
    printed."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(job.threads), "PYTHONSAFEPATH": "1"}  # the ranks' as well
    process = subprocess.Popen(command(job), stdout=subprocess.PIPE, text=True, env=environment)
    stopped = taken_over = False
    errors: list[dict[str, Any]] = []

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True
        process.send_signal(signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    assert process.stdout is not None
    for line in process.stdout:
        events, rest = parse_events(line)
        for event in events:
            taken_over |= event["event"] == "taken over"
            if event["event"] == "error":
                errors.append(event)
            else:
                _hand_on(event, report)
        if rest.strip():
            print(rest, end="", flush=True)
    code = process.wait()
    if taken_over:  # what the other ranks say is only that they miss the one that ended for it
        return TAKEN_OVER
    for event in errors:
        report(event)
    if code < 0:
        report({"event": "error", "message": f"torchrun {ending(code)}; {REST}", "internal": False})
    return DONE if code == 0 else STOPPED if stopped else FAILED


def command(job: Job) -> list[str]:
    """torchrun's command line for one node and a port chosen by the system."""
    # Without an address torchrun looks its machine up by name, and waits for minutes where no table has the name.
    here = ["--standalone", "--local-addr", "127.0.0.1"]
    run = [sys.executable, "-P", "-m", "torch.distributed.run", *here, "--nproc-per-node", str(job.nproc)]
    return [*run, "-m", "reasoning_train.stage", job.plan, job.node, "--store", job.store]


def _hand_on(event: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> None:
    if event["event"] == "outcome" and event["outcome"] == "followed":
        return  # only the first process has the outcome
    report(event)
