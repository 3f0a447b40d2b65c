"""`python -m launch.hold USR2 COMMAND...`: run a command with a signal held back until it asks for it.

A worker needs seconds until it listens, torchrun never does, and either would die of the signal. Held back, it waits for the worker.
"""

from __future__ import annotations

import os
import signal
import sys

if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.Signals[f"SIG{sys.argv[1]}"]})
    os.execvp(sys.argv[2], sys.argv[2:])
