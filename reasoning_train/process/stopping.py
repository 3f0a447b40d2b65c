"""Stopping on a signal: the work in hand is finished or saved, then the process ends as `Stopped`.

Data stages take up no new problem (`Context.pending`), trainers save a checkpoint after the step (`trainers/stop.py`);
a stage that keeps no progress ends at once.

The signal stays blocked in every thread and is taken by one that waits for it. What the worker starts (the answer
checker, servers) inherits the block: on systems that signal all processes of a job, it does not die of what was meant
for the worker.
"""

from __future__ import annotations

import _thread
import os
import signal
import threading
from types import FrameType


class Stopped(SystemExit):
    """This process was asked to stop; progress is kept.

    A SystemExit, because asyncio lets only that and KeyboardInterrupt out of a task: any other exception that a signal
    raises in the middle of an engine's step would end the engine's task alone, and every program would wait for it for
    ever.
    """


def on(number: signal.Signals) -> None:
    """From now on a signal asks to stop, also one that came while it was blocked (launch/relay.py). Before any other
    thread is started."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    signal.signal(number, _ask)
    threading.Thread(target=_take, args=(number,), daemon=True, name="stop signal").start()


def on_termination() -> None:
    """SIGTERM asks to stop as well: preemption sends it, and so does who cancels, so that nobody is asked to start
    again (`requeue`)."""
    signal.signal(signal.SIGTERM, _terminate)


def after(seconds: float, number: signal.Signals) -> None:
    """Ask after some time, whoever else may."""
    timer = threading.Timer(max(0.0, seconds), os.kill, (os.getpid(), number))
    timer.daemon = True
    timer.start()


def asked() -> bool:
    """Whether a signal has come."""
    return _asked


def requeue() -> bool:
    """Whether the work is to go on in another process: not where somebody ends it."""
    return _asked and not _terminated


def at_once() -> None:
    """For work that keeps no progress: the signal, come or coming, raises Stopped where it is."""
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
    if _at_once and first:  # a second one must not tear the clean-up that the first one started
        raise Stopped


def _terminate(number: int, frame: FrameType | None) -> None:
    global _terminated
    _terminated = True
    _ask(number, frame)
