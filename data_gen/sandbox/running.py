"""Runs one program in a jail of its own and reads what it says, up to a limit."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import PurePosixPath

from data_gen.errors import UserError
from data_gen.sandbox import tiers
from data_gen.sandbox.bubblewrap import end, jailed
from data_gen.sandbox.outcome import DEFAULT, RunLimits, RunOutcome, Status
from data_gen.sandbox.wasm import run_wasm

PROGRAM = ".program"
_CHUNK = 1 << 16


async def run(
    code: str | bytes,
    *,
    stdin: str = "",
    cpu_s: float = 5.0,
    memory: int = 512 << 20,
    files: Mapping[str, str | bytes] | None = None,
) -> RunOutcome:
    """Run a Python program. It never raises for what the program does. When the task is cancelled, the program dies;
    in the tier `wasm` it runs on to its limit.

    Args:
        code: Its source. It runs as `__main__` with the standard library alone.
        stdin: What it reads.
        cpu_s: Seconds of processor time, rounded up to whole ones; the wall-clock limit is four times that.
        memory: Bytes of address space.
        files: Contents of the files in its working folder, by name.

    Raises:
        UserError: If this machine has no sandbox that holds, or for a file name that leaves the folder.
    """
    stop = _Stop()
    limits = RunLimits(cpu_s=cpu_s, memory=memory)
    try:
        return await asyncio.to_thread(run_blocking, code, stdin=stdin, limits=limits, files=files, stop=stop)
    finally:
        stop.set()


class _Stop:
    """Ends a running jail from another thread; or one that has not begun, as soon as it begins."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._asked = False

    def watch(self, process: subprocess.Popen[bytes]) -> None:
        """The process that `set` ends."""
        self._process = process
        if self._asked:
            end(process)

    def set(self) -> None:
        """End it. Nothing happens if it has ended."""
        self._asked = True
        if self._process is not None:
            end(self._process)


def run_blocking(
    code: str | bytes,
    *,
    stdin: str = "",
    limits: RunLimits = DEFAULT,
    files: Mapping[str, str | bytes] | None = None,
    stop: _Stop | None = None,
) -> RunOutcome:
    """As `run`, for threads other than that of an event loop."""
    tier = tiers.require()
    began = time.monotonic()
    program = code.encode("utf-8", "backslashreplace") if isinstance(code, str) else code
    given = {_checked(name): data.encode() if isinstance(data, str) else data for name, data in (files or {}).items()}
    if tier.name == "wasm":
        return run_wasm(given, program, stdin, limits)
    content = {PROGRAM: program, **given}
    ours, theirs = os.pipe()  # bwrap says here how the program ended; without a word it never began
    try:
        with jailed("program.py", (), limits, content) as jail:
            argv = [jail.argv[0], "--json-status-fd", str(theirs), *jail.argv[1:]]
            process = subprocess.Popen(
                argv,
                pass_fds=(*jail.fds, theirs),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={},
                start_new_session=True,
            )
        os.close(theirs)
        theirs = -1
        if stop is not None:
            stop.watch(process)
        with process:
            out, err, cut = _converse(process, stdin.encode(), limits, began + limits.wall_s)
        status = cut or _ended(_said(ours), err)
    finally:
        os.close(ours)
        if theirs >= 0:
            os.close(theirs)
    said, complained = (bytes(part[: limits.output]).decode("utf-8", "replace") for part in (out, err))
    return RunOutcome(said, complained, status, time.monotonic() - began)


def _checked(name: str) -> str:
    """A file name that stays in the working folder."""
    path = PurePosixPath(name)
    if not name or "\0" in name or path.is_absolute() or ".." in path.parts or path.parts[0] == PROGRAM:
        raise UserError(f"sandbox: file {name!r}: expected a relative name below the program's folder, such as in.txt")
    return name


def _converse(
    process: subprocess.Popen[bytes], stdin: bytes, limits: RunLimits, deadline: float
) -> tuple[bytearray, bytearray, Status | None]:
    """stdout, stderr, and why the program was ended, if it was. On return the jail has ended."""
    assert process.stdin and process.stdout and process.stderr
    said = {process.stdout: bytearray(), process.stderr: bytearray()}
    cut: Status | None = None
    with selectors.DefaultSelector() as selector:
        for pipe in said:
            selector.register(pipe, selectors.EVENT_READ)
        os.set_blocking(process.stdin.fileno(), False)
        selector.register(process.stdin, selectors.EVENT_WRITE)
        while cut is None and any(key.fileobj in said for key in selector.get_map().values()):
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                cut = Status.TIMEOUT
            for key, _ in ready:
                if key.fileobj is process.stdin:
                    stdin = _write(process, stdin)
                    if not stdin:
                        selector.unregister(process.stdin)
                        _close(process)
                    continue
                pipe = process.stdout if key.fileobj is process.stdout else process.stderr
                if data := os.read(pipe.fileno(), _CHUNK):
                    said[pipe] += data
                    cut = cut or (Status.OUTPUT if len(said[pipe]) > limits.output else None)
                else:
                    selector.unregister(pipe)
    _close(process)
    if cut is None:  # it closed both pipes, and may go on
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            cut = Status.TIMEOUT
    end(process)
    process.wait()
    return said[process.stdout], said[process.stderr], cut


def _write(process: subprocess.Popen[bytes], data: bytes) -> bytes:
    """What is left to write. Nothing, once the program no longer reads."""
    assert process.stdin
    try:
        return data[os.write(process.stdin.fileno(), data[:_CHUNK]) :] if data else b""
    except BlockingIOError:
        return data
    except BrokenPipeError:
        return b""


def _close(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()


def _said(fd: int) -> int | None:
    """The exit status that bwrap told; None if it told none."""
    lines = os.read(fd, _CHUNK).decode().splitlines()
    return next((found["exit-code"] for line in lines if "exit-code" in (found := json.loads(line))), None)


def _ended(code: int | None, err: bytearray) -> Status:
    """How a program ended by itself. UserError if its jail did not start."""
    if code is None:
        said = bytes(err[:500]).decode("utf-8", "replace").strip()
        raise UserError(f"the sandbox did not start a program ({said or 'it was killed from outside'}). Run `doctor`.")
    if code == 0:
        return Status.OK
    if code == 128 + signal.SIGXCPU:
        return Status.TIMEOUT
    return Status.DIED if code > 128 else Status.ERROR
