"""Stopping on a signal: the work in hand is finished or saved, then the process ends as `Stopped`.

Data stages take up no new problem (`Context.pending`), trainers save a checkpoint after the step (`trainers/stop.py`); a stage that keeps
no progress ends at once.
"""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

EXIT_CODE = 75
"""Of a worker that was stopped with its progress kept: EX_TEMPFAIL of sysexits.h, "the user is invited to retry"."""


class Stopped(SystemExit):
    """This process was asked to stop; progress is kept.

    A SystemExit, because asyncio lets only that and KeyboardInterrupt out of a task: any other exception that a signal raises in the
    middle of an engine's step would end the engine's task alone, and every program would wait for it for ever.
    """


def on(number: signal.Signals) -> None:
    """From now on a signal asks to stop. One that came while it was blocked (launch/hold.py) counts."""
    signal.signal(number, _ask)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})


def after(seconds: float, number: signal.Signals) -> None:
    """Send the signal to this process after some time, whoever else may send it."""
    timer = threading.Timer(max(0.0, seconds), os.kill, (os.getpid(), number))
    timer.daemon = True
    timer.start()


def off(number: signal.Signals) -> None:
    """The work is done or given up: a signal that still comes must not kill the process while the interpreter shuts down."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {number})


def asked() -> bool:
    """Whether a signal has come."""
    return _asked


def at_once() -> None:
    """For work that keeps no progress: the signal, come or coming, raises Stopped where it is."""
    global _at_once
    _at_once = True
    if _asked:
        raise Stopped


_asked = _at_once = False


def _ask(number: int, frame: FrameType | None) -> None:
    global _asked
    _asked = True
    if _at_once:
        raise Stopped
