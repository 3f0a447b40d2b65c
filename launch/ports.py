"""`python -m launch.ports JOB [TRY]`: a free port of this host for the rendezvous of a job.

It is derived from the job's number, so that jobs on one node try different ports, and lies below the ephemeral ports
(32768 and up on Linux). Ports in use are skipped; another TRY starts at another port.
"""

from __future__ import annotations

import socket
import sys

FIRST, COUNT = 20000, 12000
STRIDE = 7919
"""A prime that does not divide COUNT. It spreads successive tries and jobs over the whole range."""


def free_port(job: int, attempt: int = 0) -> int:
    """The first free port, starting at the job's own. RuntimeError if none is free."""
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
