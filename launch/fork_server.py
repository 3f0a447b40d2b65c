"""The server that imports torch and transformers once and forks a process per job.

    python -m launch.fork_server COMMANDS EVENTS LIFE      (numbers of inherited file descriptors)

Commands arrive as JSON lines on COMMANDS; the children write events as JSON lines to EVENTS. LIFE is a pipe that only
the runner keeps open for writing: if the runner dies, however it happens, every process sees end-of-file and exits. The
server itself does no tensor work and starts no threads, so that forking is safe.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

from launch.job import Job, run_job
from launch.torchrun import run_torchrun
from reasoning_train.worker.work import FAILED

PIPE_LINE = 3500
"""Maximum event size in bytes, below the size up to which pipe writes are atomic (4096 on Linux)."""


def send(descriptor: int, event: dict[str, Any]) -> None:
    """Write one event as a line. A message that is too long is shortened; the log has all of it."""
    line = json.dumps(event)
    if len(line) > PIPE_LINE:
        line = json.dumps({**event, "message": str(event.get("message", ""))[: PIPE_LINE // 8] + " ...", "figures": {}})
    os.write(descriptor, line.encode() + b"\n")


class JobServer:
    """Forks jobs, reaps them and reports to the runner."""

    def __init__(self, commands: int, events: int, life: int) -> None:
        self.commands, self.events, self.life = commands, events, life
        self.running: dict[int, str] = {}
        self.wake, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> None:
        """Loop until the runner closes the command pipe."""
        buffer = b""
        while True:
            ready, _, _ = select.select([self.commands, self.wake], [], [])
            if self.wake in ready:
                os.read(self.wake, 4096)
                self._reap()
            if self.commands in ready:
                data = os.read(self.commands, 1 << 16)
                if not data:
                    self._signal(list(self.running), signal.SIGKILL)
                    return
                *lines, buffer = (buffer + data).split(b"\n")
                for line in lines:
                    self._obey(json.loads(line))

    def _obey(self, command: dict[str, Any]) -> None:
        if "signal" in command:
            self._signal(
                [pid for pid, name in self.running.items() if command["id"] in (name, None)], command["signal"]
            )
            return
        job = Job.from_dict(command)
        if job.heavy:
            import_heavy()
        pid = os.fork()
        if pid == 0:
            self._child(job)
        self.running[pid] = job.id

    def _signal(self, pids: list[int], number: int) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                # Other signals go to the job, which cleans up; SIGKILL goes to its whole process group.
                os.killpg(pid, number) if number == signal.SIGKILL else os.kill(pid, number)

    def _reap(self) -> None:
        while self.running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            send(self.events, {"event": "exit", "id": self.running.pop(pid), "code": os.waitstatus_to_exitcode(status)})

    def _child(self, job: Job) -> NoReturn:
        code = FAILED
        try:
            self._detach(Path(job.log))
            run = run_torchrun if job.nproc > 1 else run_job
            code = run(job, lambda event: send(self.events, {**event, "id": job.id}))
        finally:
            with contextlib.suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _detach(self, log: Path) -> None:
        """Give the child its own session, log and default signals, and a thread that kills it when the runner dies."""
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(self.commands)
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(out, 1)
        os.dup2(out, 2)
        threading.Thread(target=_die_with, args=(self.life,), daemon=True, name="runner watch").start()


def _die_with(life: int) -> None:
    while os.read(life, 1):
        pass
    os.killpg(0, signal.SIGKILL)


def import_light() -> None:
    """Import and look up once what every stage needs."""
    import filelock  # noqa: F401
    import numpy  # noqa: F401
    import psutil  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    from reasoning_train.api.stage import STAGES
    from reasoning_train.process.plugins import import_plugins
    from reasoning_train.store.code import code_version
    from reasoning_train.worker import run_node  # noqa: F401

    code_version()
    with contextlib.suppress(Exception):  # a plugin that does not import is reported by the job that needs it
        import_plugins()
        STAGES.names()


def import_heavy() -> None:
    """Import once what model stages share. Does no tensor work."""
    if "transformers" in sys.modules:
        return
    import torch  # noqa: F401
    import transformers
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM  # noqa: F401

    transformers.logging.disable_progress_bar()
    gc.collect()
    gc.freeze()  # so that collections in the children do not touch shared pages


def main() -> None:
    """Entry point of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import_light()
    JobServer(*map(int, sys.argv[1:4])).serve()


if __name__ == "__main__":
    main()
