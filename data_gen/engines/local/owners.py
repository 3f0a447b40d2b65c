"""Notices when the owners of requests are gone, so that their cached data can be freed."""

from __future__ import annotations

import itertools
import weakref
from collections import deque


class Owners:
    """Numbers for owners. `gone` reports each owner that died, in whatever thread, once."""

    def __init__(self) -> None:
        self._numbers: weakref.WeakKeyDictionary[object, int] = weakref.WeakKeyDictionary()
        self._next, self._gone = itertools.count(), deque[int]()

    def number(self, owner: object | None) -> int | None:
        """The owner's number. None if there is no owner."""
        if owner is None:
            return None
        if owner not in self._numbers:
            self._numbers[owner] = number = next(self._next)
            weakref.finalize(owner, self._gone.append, number).atexit = False
        return self._numbers[owner]

    def gone(self) -> list[int]:
        """Numbers of the owners that have died since the last call."""
        return [self._gone.popleft() for _ in range(len(self._gone))]
