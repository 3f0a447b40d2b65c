"""The runner's end of the fork server: starts it with the first job, sends jobs, receives events."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from dataclasses import asdict
from typing import Any

from data_gen.errors import UserError
from launch.job import Job


def require_fork() -> None:
    """UserError on systems without `os.fork` (Windows)."""
    if not hasattr(os, "fork"):
        raise UserError(
            f"Recipes cannot run on this system ({sys.platform}): every stage is forked from a server that has "
            "imported torch once, and Python has no os.fork here. Use Linux, macOS or, on Windows, WSL."
        )


class ForkServer:
    """A server process with its pipes. Use it as a context manager; leaving it kills what still runs."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = b""
        self._jobs: set[str] = set()

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(self, job: Job) -> None:
        """Start a job. Its events have its id; the last one is `exit`."""
        if self._process is None:
            self._start()
        self._jobs.add(job.id)
        self._send(asdict(job))

    def signal(self, number: int, job: str | None = None) -> None:
        """Signal one job, or all."""
        if self._process is not None:
            self._send({"signal": number, "id": job})

    def events(self, timeout: float) -> list[dict[str, Any]]:
        """Events since the last call; waits at most `timeout` seconds. If the server died, an `exit` event with code -9
        for every job."""
        if self._process is None:
            return []
        if not select.select([self._events], [], [], timeout)[0]:
            return [] if self._process.poll() is None else self._lost()
        data = os.read(self._events, 1 << 16)
        if not data:  # the server and all jobs are gone
            return self._lost()
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        events: list[dict[str, Any]] = [json.loads(line) for line in lines]
        self._jobs -= {event["id"] for event in events if event["event"] == "exit"}
        return events

    def _lost(self) -> list[dict[str, Any]]:
        lost, self._jobs = self._jobs, set()
        self.close()
        return [{"event": "exit", "id": job, "code": -9} for job in sorted(lost)]

    def close(self) -> None:
        """End the server and everything it started."""
        if self._process is None:
            return
        for descriptor in (self._commands, self._life, self._events):
            os.close(descriptor)
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:  # busy importing
            self._process.kill()
            self._process.wait()
        self._process = None

    def _start(self) -> None:
        commands, self._commands = os.pipe()
        self._events, events = os.pipe()
        life, self._life = os.pipe()
        theirs = (commands, events, life)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "launch.fork_server", *map(str, theirs)],
            pass_fds=theirs,
            stdin=subprocess.DEVNULL,
            env=_environment(),
            start_new_session=True,
        )
        for descriptor in theirs:
            os.close(descriptor)

    def _send(self, message: dict[str, Any]) -> None:
        try:
            os.write(self._commands, json.dumps(message).encode() + b"\n")
        except BrokenPipeError:
            return  # the server died; `events` reports it


def _environment() -> dict[str, str]:
    """One thread for libraries that start their own at import, no network, the caller's search path without the current
    folder: a `json.py` that lies there is not imported."""
    fixed = {
        "PYTHONSAFEPATH": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
    }
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return {**os.environ, **fixed, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
