"""`python -m launch.ports JOB [TRY]`: a free port of this host for the rendezvous of a job.

It derives from the job's number, so that jobs on one node do not look for the same one, and lies below the ports that
systems give out by themselves (32768 and up on Linux). A port that is taken is passed over; another TRY begins
elsewhere.
"""

from __future__ import annotations

import socket
import sys

FIRST, COUNT = 20000, 12000
STRIDE = 7919
"""A prime that does not divide COUNT: successive tries of a job, and the jobs after it, spread over the whole range."""


def free_port(job: int, attempt: int = 0) -> int:
    """The first free port from the job's own on. RuntimeError where none is free."""
    for i in range(COUNT):
        port = FIRST + (job + (attempt * 101 + i) * STRIDE) % COUNT
        if _free(port):
            return port
    raise RuntimeError(f"no free port from {FIRST} to {FIRST + COUNT - 1}")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


if __name__ == "__main__":
    print(free_port(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
