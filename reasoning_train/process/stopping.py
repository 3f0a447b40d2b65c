"""Stopping on a signal: the current work is finished or saved, then the process ends with `Stopped`.

Data stages start no new problem (`Context.pending`). Trainers save a checkpoint after the step (`trainers/stop.py`).
A stage that keeps no progress ends at once.

The signal is blocked in every thread, and one thread waits for it. Processes that the worker starts (the answer
checker, servers) inherit the block, so on systems that signal all processes of a job they survive the worker's signal.
"""

from __future__ import annotations

import _thread
import os
import signal
import threading
from types import FrameType


class Stopped(SystemExit):
    """This process was asked to stop; progress is kept.

    It is a SystemExit because asyncio lets only that and KeyboardInterrupt out of a task. Any other exception raised by
    a signal during an engine's step would end only the engine's task, and every program would wait for it for ever.
    """


def on(number: signal.Signals) -> None:
    """Make a signal ask to stop, also one that came while it was blocked (launch/relay.py). Call it before any other
    thread is started."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    signal.signal(number, _ask)
    threading.Thread(target=_take, args=(number,), daemon=True, name="stop signal").start()


def on_termination() -> None:
    """Make SIGTERM ask to stop. Both preemption and cancelling send it, so the worker does not ask to be requeued
    (`requeue`); the job's script does if it was neither."""
    signal.signal(signal.SIGTERM, _terminate)


def after(seconds: float, number: signal.Signals) -> None:
    """Send this process the signal after some seconds."""
    timer = threading.Timer(max(0.0, seconds), os.kill, (os.getpid(), number))
    timer.daemon = True
    timer.start()


def asked() -> bool:
    """Whether a signal has come."""
    return _asked


def requeue() -> bool:
    """Whether the stopped work should continue in another process; False after SIGTERM."""
    return _asked and not _terminated


def at_once() -> None:
    """For work that keeps no progress: an earlier or later signal raises Stopped at once."""
    global _at_once
    _at_once = True
    if _asked:
        raise Stopped


_asked = _at_once = _terminated = False


def _take(number: signal.Signals) -> None:
    while True:
        signal.sigwait({number})
        _thread.interrupt_main(number)  # the handler runs in the main thread, wherever that is


def _ask(number: int, frame: FrameType | None) -> None:
    global _asked
    first, _asked = not _asked, True
    if _at_once and first:  # a second signal must not interrupt the clean-up that the first one started
        raise Stopped


def _terminate(number: int, frame: FrameType | None) -> None:
    global _terminated
    _terminated = True
    _ask(number, frame)
