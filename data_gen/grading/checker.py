"""The client of the checker process: one worker, started when first needed and replaced when it dies."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from typing import Any

from data_gen.errors import UserError
from data_gen.records.verdict import Grade, Verdict

CPU_SECONDS = 5.0
"""Processor time limit per answer. It is not wall time, so a busy machine does not change verdicts."""

REMEMBERED = 10_000
"""Most golds whose result is cached."""


class Checker:
    """Grades answers in a separate process (`data_gen.grading.worker`). It is safe to call from any thread.

    The process guards against answers that hang, crash or fill the memory. It is not a sandbox: it has its user's
    rights.

    Args:
        cpu_seconds: Processor time of one answer; the hard limit by the wall clock is six times that.
    """

    def __init__(self, cpu_seconds: float = CPU_SECONDS) -> None:
        self._cpu_seconds = cpu_seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._read: dict[str, bool] = {}

    def reads(self, gold: str) -> bool:
        """Whether a reference formula by itself can be read within the limits. The result is cached, since many answers
        share one gold.

        Raises:
            UserError: If the worker cannot start because math-verify does not import.
        """
        if gold not in self._read:
            if len(self._read) >= REMEMBERED:
                self._read.clear()
            self._read[gold] = self._judge({"kind": "reads", "gold": gold}).verdict is Verdict.CORRECT
        return self._read[gold]

    def compare(self, gold: str, answer: str) -> Grade:
        """Compares two formulas, of which gold was accepted by `reads`: CORRECT or WRONG `math_verify`. WRONG `timeout`
        or `checker_died` (e.g. out of memory), since then the answer is the cause.

        Raises:
            UserError: If the worker cannot start because math-verify does not import.
        """
        return self._judge({"kind": "math", "gold": gold, "answer": answer})

    def score(self, generator: str, config: str, entry: dict[str, Any], answer: str) -> Grade:
        """A reasoning-gym scorer: CORRECT `generator` at a score of 1 or more, else WRONG with that score.

        Args:
            generator: Name of the generator.
            config: Its settings as a JSON object.
            entry: The entry of the problem, packed by `sources.generators.pack`.
            answer: The answer of the solution.

        Returns:
            WRONG `unreadable` if the scorer raises; WRONG `timeout` or `checker_died`.

        Raises:
            UserError: If the worker cannot start, or reasoning-gym has no such generator or refuses its settings.
        """
        return self._judge(
            {"kind": "reasoning_gym", "generator": generator, "config": config, "entry": entry, "answer": answer}
        )

    def _judge(self, question: dict[str, Any]) -> Grade:
        """The verdict. A worker that dies of anything but its timer is asked once more, since it may have been killed
        from outside."""
        reply = self._reply(question)
        if reply.get("reason") == "checker_died":
            reply = self._reply(question)
        if "error" in reply:
            raise UserError(reply["error"])
        return Grade(Verdict(reply["verdict"]), reply["reason"], reply.get("score"))

    def _reply(self, question: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            process = self._process or self._start()
            self._process = process
            try:
                reply = _ask(process, {**question, "cpu_seconds": self._cpu_seconds})
            except BaseException:
                # Interrupted between question and reply: the reply would be taken for that of the next question.
                self._stop()
                raise
            if reply is None:
                timed_out = self._stop() in (-signal.SIGPROF, -signal.SIGALRM)
                return {"verdict": "wrong", "reason": "timeout" if timed_out else "checker_died"}
        return reply

    def after_fork(self) -> None:
        """In a forked child: release the parent's worker, which must still see its pipe close when the parent dies."""
        self._lock = threading.Lock()
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    os.close(pipe.fileno())
            self._process = None

    def _start(self) -> subprocess.Popen[str]:
        # A session of its own, since Ctrl-C at a terminal is for the parent to handle.
        process = subprocess.Popen(
            [sys.executable, "-m", "data_gen.grading.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        ready = _read(process)
        if ready is None or "error" in ready:
            process.kill()
            process.wait()
            said = ready["error"] if ready else f"exit status {process.returncode}"
            raise UserError(
                f"The answer checker did not start ({said}). Reinstall with `pip install "
                "'math-verify[antlr4_13_2]>=0.9'`."
            )
        return process

    def _stop(self) -> int:
        """Kill and reap the worker. Returns the exit status, negative for a signal."""
        process, self._process = self._process, None
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


_CHECKER = Checker()
if hasattr(os, "register_at_fork"):  # only on platforms with fork
    os.register_at_fork(after_in_child=_CHECKER.after_fork)


def reads(gold: str) -> bool:
    """`Checker.reads` on this process's one worker."""
    return _CHECKER.reads(gold)


def compare(gold: str, answer: str) -> Grade:
    """`Checker.compare` on this process's one worker."""
    return _CHECKER.compare(gold, answer)


def score(generator: str, config: str, entry: dict[str, Any], answer: str) -> Grade:
    """`Checker.score` on this process's one worker."""
    return _CHECKER.score(generator, config, entry, answer)
