"""Tests of a program, neither of which can reach the other: each runs in a jail of its own.

The tests call the program through a pipe and get values. They compare, and tell the verdict on a pipe that only they
have. So a program can pass by giving right values alone: it sees no test, no expected value and no checker to patch.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from data_gen.errors import UserError
from data_gen.sandbox import tiers
from data_gen.sandbox.bubblewrap import end, jailed
from data_gen.sandbox.outcome import DEFAULT, MARGIN, Judged, RunLimits
from data_gen.sandbox.wasm import judge_wasm


def judge(program: str, tests: str, *, given: str = "", limits: RunLimits = DEFAULT) -> Judged:
    """Run tests on a program.

    Args:
        program: Its source. It is loaded as a module, so `__name__` is not `__main__`.
        tests: Source of the tests. Names that they do not define are the program's.
        given: Source of what the question defines. The tests use it as it is, whatever the program makes of it, apart
            from functions that do nothing, which it asks for.
        limits: What each of the two may use.

    Raises:
        UserError: If this machine has no sandbox that holds.
    """
    if tiers.require().name == "wasm":
        return judge_wasm(program, tests, given, limits)
    deadline = time.monotonic() + limits.wall_s
    with _both(program, tests, given, limits) as (subject, tester):
        said = _told(tester, deadline)
        if "met" not in said and said[-1:] != ["timeout"]:
            raise UserError(f"the sandbox did not start tests ({' '.join(said) or 'no word'}). Run `doctor`.")
        last = said[-1].partition(" ")[0]
        if last in ("gone", "met"):  # the program ended, or the tests did
            return "timeout" if _ran_out(subject if last == "gone" else tester, deadline) else "died"
    known: dict[str, Judged] = {"passed": "passed", "failed": "failed", "error": "error", "timeout": "timeout"}
    return known.get(last, "died")


def _ran_out(process: subprocess.Popen[bytes], deadline: float) -> bool:
    """Whether a jail that fell silent reached the limit of its processor time, or does not end."""
    try:
        return process.wait(max(0.1, deadline - time.monotonic())) == 128 + signal.SIGXCPU
    except subprocess.TimeoutExpired:
        return True


@contextmanager
def _both(
    program: str, tests: str, given: str, limits: RunLimits
) -> Iterator[tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]]:
    """The jails of the program and of its tests, joined by two pipes. Both have ended when the context ends."""
    beside = RunLimits(cpu_s=limits.cpu_s, memory=limits.memory + MARGIN, disk=limits.disk)
    with ExitStack() as stack:
        asked, answered = os.pipe(), os.pipe()
        try:
            mine = {".program": program.encode("utf-8", "backslashreplace")}
            inner = stack.enter_context(jailed("subject.py", (), limits, mine))
            subject = _start(inner.argv, inner.fds, asked[0], answered[1], subprocess.DEVNULL)
            stack.callback(_end, subject)
            outer = stack.enter_context(jailed("judge.py", (), beside, {".tests": tests, ".given": given}))
            tester = _start(outer.argv, outer.fds, answered[0], asked[1], subprocess.PIPE)
            stack.callback(_end, tester)
        finally:
            for fd in (*asked, *answered):
                os.close(fd)
        yield subject, tester


def _start(argv: list[str], fds: tuple[int, ...], stdin: int, stdout: int, stderr: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        argv, pass_fds=fds, stdin=stdin, stdout=stdout, stderr=stderr, env={}, start_new_session=True
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    end(process)
    process.wait()
    if process.stderr is not None:
        process.stderr.close()


def _told(tester: subprocess.Popen[bytes], deadline: float) -> list[str]:
    """What the tests told until they ended; `timeout` at the end if they did not."""
    assert tester.stderr is not None
    told = b""
    with selectors.DefaultSelector() as selector:
        selector.register(tester.stderr, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline - time.monotonic())):
            data = os.read(tester.stderr.fileno(), 1 << 16)
            if not data:
                return [_text(line) for line in told.splitlines()]
            told += data
    return [*(_text(line) for line in told.splitlines()), "timeout"]


def _text(line: bytes) -> str:
    """A line of the tests, or of bwrap, which does not speak JSON."""
    try:
        return str(json.loads(line))
    except ValueError:
        return line.decode("utf-8", "replace")
