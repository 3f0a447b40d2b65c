"""The runner's end of the fork server: starts it with the first job, sends jobs, receives events."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from data_gen.errors import UserError
from launch.endings import REST, ending
from launch.job import Job
from reasoning_train.worker.work import FAILED

TAIL_BYTES = 2000
"""Bytes at the end of the server's log in which its last words are looked for."""


def require_fork() -> None:
    """UserError on systems without `os.fork` (Windows)."""
    if not hasattr(os, "fork"):
        raise UserError(
            f"Recipes cannot run on this system ({sys.platform}): every stage is forked from a server that has "
            "imported torch once, and Python has no os.fork here. Use Linux, macOS or, on Windows, WSL."
        )


class ForkServer:
    """A server process with its pipes. Use it as a context manager; leaving it kills what still runs.

    `jobs` are the ids of the jobs that were submitted and have not ended. `log`: file for what the server prints.
    """

    def __init__(self, log: Path) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = b""
        self._log = log
        self.jobs: set[str] = set()

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(self, job: Job) -> None:
        """Start a job. Its events have its id; the last one is `exit`."""
        if self._process is None:
            self._start()
        self.jobs.add(job.id)
        self._send(asdict(job))

    def signal(self, number: int, job: str | None = None) -> None:
        """Signal one job, or all."""
        if self._process is not None:
            self._send({"signal": number, "id": job})

    def events(self, timeout: float) -> list[dict[str, Any]]:
        """Events since the last call; waits at most `timeout` seconds. If the server died, an `exit` event with a
        message for every job."""
        if self._process is None:
            return []
        if not select.select([self._events], [], [], timeout)[0]:
            return [] if self._process.poll() is None else self._lost()
        data = os.read(self._events, 1 << 16)
        if not data:  # the server and all jobs are gone
            return self._lost()
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        events: list[dict[str, Any]] = [json.loads(line) for line in lines]
        self.jobs -= {event["id"] for event in events if event["event"] == "exit"}
        return events

    def _lost(self) -> list[dict[str, Any]]:
        lost, self.jobs = self.jobs, set()
        assert self._process is not None
        try:
            code = self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:  # its pipe is closed, but it still runs
            code = FAILED
        self.close()
        said = f"the process that starts the stages {ending(code)}{self._last_words()}; {REST}"
        return [{"event": "exit", "id": job, "code": code or FAILED, "message": said} for job in sorted(lost)]

    def _last_words(self) -> str:
        """The last line that the server printed, such as the error that ended it."""
        text = self._log.read_bytes()[-TAIL_BYTES:].decode(errors="replace") if self._log.exists() else ""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return f" ({lines[-1]}; log: {self._log})" if lines else ""

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
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "launch.fork_server", *map(str, theirs)],
                pass_fds=theirs,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
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
