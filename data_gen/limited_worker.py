"""Work on untrusted input in a process of its own, under limits of time and memory.

The parent keeps one worker, started when first needed and replaced when it dies. They exchange JSON lines. Each
question runs under two kernel timers whose signals keep their default action, which ends the process: neither Python
code nor a routine in C can outlast them, even when the parent is gone. Between questions the worker ends when stdin
closes.

The process guards against input that hangs, crashes or fills the memory. It is not a sandbox: it has its user's rights.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any, Literal, TextIO

from data_gen.errors import UserError

TRIES = 3
"""How often a question is asked, or a worker started, before its death is taken for its own doing and not for that of a
signal from outside."""
WALL_FACTOR = 6
"""Ratio of the wall-clock limit to the processor-time limit."""
Died = Literal["timeout", "died"]


class LimitedWorker:
    """The client of the worker `python -m MODULE`, whose `main` calls `serve`. It is safe to call from any thread.

    Args:
        module: The worker.
        cpu_seconds: Processor time of one question; the hard limit by the wall clock is six times that. It is not wall
            time, so a busy machine does not change results.
        name: What it is, in messages.
        advice: What to do if it does not start, as a sentence.
    """

    def __init__(self, module: str, cpu_seconds: float, *, name: str, advice: str) -> None:
        self._module, self._cpu_seconds, self._name, self._advice = module, cpu_seconds, name, advice
        self._lock = threading.Lock()
        self.process: subprocess.Popen[str] | None = None
        _WORKERS.add(self)

    def ask(self, question: dict[str, Any]) -> dict[str, Any] | Died:
        """The worker's reply, `timeout` if the question outlasted its limit, or `died` (e.g. out of memory).

        A worker that dies of anything but its timer is asked again, since it may have been killed from outside.

        Raises:
            UserError: If the worker cannot start, or says `error`.
        """
        for _ in range(TRIES):
            reply = self._reply(question)
            if reply != "died":
                break
        if isinstance(reply, dict) and "error" in reply:
            raise UserError(reply["error"])
        return reply

    def _reply(self, question: dict[str, Any]) -> dict[str, Any] | Died:
        with self._lock:
            process = self.process or self._start()
            self.process = process
            try:
                reply = _ask(process, {**question, "cpu_seconds": self._cpu_seconds})
            except BaseException:
                # Interrupted between question and reply: the reply would be taken for that of the next question.
                self._stop()
                raise
            if reply is None:
                return "timeout" if self._stop() in (-signal.SIGPROF, -signal.SIGALRM) else "died"
        return reply

    def after_fork(self) -> None:
        """In a forked child: release the parent's worker, which must still see its pipe close when the parent dies."""
        self._lock = threading.Lock()
        if self.process is not None:
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe is not None:
                    os.close(pipe.fileno())
            self.process = None

    def _start(self) -> subprocess.Popen[str]:
        for _ in range(TRIES):
            process = _spawn(self._module)
            ready = _read(process)
            if ready is not None and "error" not in ready:
                return process
            if ready is not None:
                process.kill()
            if process.wait() >= 0 or ready is not None:
                break
        said = ready["error"] if ready else f"exit status {process.returncode}"
        raise UserError(f"{self._name} did not start ({said}). {self._advice}")

    def _stop(self) -> int:
        """Kill and reap the worker. Returns the exit status, negative for a signal."""
        process, self.process = self.process, None
        assert process is not None
        if process.poll() is None and process.stdout is not None:
            # Its pipe closed, so it is dying of its own alarm. The alarm's number is the reason to report.
            try:
                process.wait(timeout=1)
            except subprocess.TimeoutExpired:
                process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                # a question that the dead worker never read is still in the buffer
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        return process.wait()


_WORKERS: weakref.WeakSet[LimitedWorker] = weakref.WeakSet()


def _release() -> None:
    for worker in list(_WORKERS):
        worker.after_fork()


if hasattr(os, "register_at_fork"):  # only on platforms with fork
    os.register_at_fork(after_in_child=_release)


def _spawn(module: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        start_new_session=True,  # since Ctrl-C at a terminal is for the parent to handle
    )


def _ask(process: subprocess.Popen[str], question: dict[str, Any]) -> dict[str, Any] | None:
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps(question) + "\n")
        process.stdin.flush()
    except BrokenPipeError:
        return None
    return _read(process)


def _read(process: subprocess.Popen[str]) -> dict[str, Any] | None:
    """The next line as JSON. None if the worker died."""
    assert process.stdout is not None
    line = process.stdout.readline()
    return json.loads(line) if line.endswith("\n") else None


Work = Callable[[], dict[str, Any]]
"""The part of a question's work that is charged to it."""


def serve(prepare: Callable[[], object], work: Callable[[dict[str, Any]], Work], *, memory: int) -> None:
    """In the worker: answer questions until stdin closes.

    Args:
        prepare: Imports what the questions need. What it raises is why the worker does not start.
        work: The work of a question. What it does before it returns runs without limits: loading is not charged. A
            UserError that it raises is the reply.
        memory: Bytes of address space, so that hostile input ends in MemoryError and not in swapping.
    """
    with contextlib.suppress(ValueError, OSError):  # macOS knows the limit but refuses to set it
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    questions, replies = _private_pipes()
    try:
        prepare()
    except Exception as error:
        _write(replies, {"error": f"{type(error).__name__}: {error}"})
        return
    _write(replies, {"ready": True})
    for line in questions:
        question = json.loads(line)
        try:
            charged = work(question)
        except UserError as error:
            _write(replies, {"error": str(error)})
            continue
        _arm(question["cpu_seconds"])
        reply = charged()
        _arm(0.0)
        _write(replies, reply)


def _arm(cpu_seconds: float) -> None:
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
    signal.setitimer(signal.ITIMER_REAL, cpu_seconds * WALL_FACTOR)


def _private_pipes() -> tuple[TextIO, TextIO]:
    """Questions and replies, moved off stdin and stdout, so that what the work prints cannot pass for a reply."""
    questions, replies = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    return questions, replies


def _write(replies: TextIO, message: dict[str, Any]) -> None:
    replies.write(json.dumps(message) + "\n")
    replies.flush()
