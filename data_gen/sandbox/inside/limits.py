"""In the jail: the limits of this process, set before a line of a model's program is read. They cannot be raised."""

import math
import os


def limit(memory: str, cpu_s: str, disk: str) -> None:
    """Bytes of address space, seconds of processor time, bytes of a file. The process leaves bwrap's group, which a
    program could signal: from here on it dies with bwrap by itself."""
    import resource  # WebAssembly has none, and limits of its own

    os.setsid()
    seconds = max(1, math.ceil(float(cpu_s)))
    # SIGXCPU tells a program that ran out of time from one that was killed. One that ignores it ends a second later.
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(disk), int(disk)))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
