"""`python -m launch.relay USR2 COMMAND...`: runs a command and forwards the signal to the workers below it.

SLURM may signal every process of a job, or only those that it started itself. torchrun would die of the signal or not
forward it, and a worker needs seconds before it can handle it. So the signal is blocked for the command and its
children. The relay receives it and sends it to the workers, which handle it when they are ready. SIGTERM goes to the
command.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time
from types import FrameType

import psutil

LOOK_S = 0.5
"""Seconds between searches for workers, if the signal came before they started."""


def main() -> int:
    """Run the command and return its exit code, or 128 + N if signal N killed it."""
    number = signal.Signals[f"SIG{sys.argv[1]}"]
    signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    threading.Thread(target=_relay, args=(number,), daemon=True).start()
    process = subprocess.Popen(sys.argv[2:])

    def terminate(number: int, frame: FrameType | None) -> None:
        process.send_signal(number)

    signal.signal(signal.SIGTERM, terminate)
    code = process.wait()
    return 128 - code if code < 0 else code


def _relay(number: signal.Signals) -> None:
    while True:
        signal.sigwait({number})
        while not (workers := list(_workers())):
            time.sleep(LOOK_S)
        for worker in workers:
            with contextlib.suppress(psutil.Error):
                worker.send_signal(number)


def _workers() -> list[psutil.Process]:
    """Descendant processes that run `reasoning_train.stage` themselves."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            line = process.cmdline()
            if "reasoning_train.stage" in line and "torch.distributed.run" not in line:
                found.append(process)
    return found


if __name__ == "__main__":
    sys.exit(main())
