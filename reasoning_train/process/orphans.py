"""A process of a launcher ends with the launcher, however that ends.

torchrun gives its processes sessions of their own, so what kills it and its process group leaves them. They would train
on, unseen, and hold their GPUs.
"""

from __future__ import annotations

import os
import signal
import threading
import time

LOOK_S = 0.5
"""Seconds between two looks."""


def end_with_parent() -> None:
    """From here on, kill this process, and its group if it leads one, once the process that started it is gone."""
    threading.Thread(target=_watch, args=(os.getppid(),), daemon=True, name="launcher watch").start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_S)
    (os.killpg if os.getpgrp() == os.getpid() else os.kill)(os.getpid(), signal.SIGKILL)
