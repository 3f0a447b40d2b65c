"""The standard streams of a process: opened where the parent closed them, and given up when nobody reads them."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TextIO


def open_standard_streams() -> None:
    """Open stdin, stdout and stderr on the null device where they are closed (`<&-`, some supervisors). Otherwise the
    next files or pipes would get their numbers, and what is printed would go there."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)  # gets the lowest free number
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w", encoding="utf-8", closefd=False))  # noqa: SIM115


def give_up(stream: TextIO) -> None:
    """Point a stream at the null device, so that neither later writes nor the flush at exit fail again."""
    with contextlib.suppress(OSError, ValueError):  # a stream without a file
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


class Output:
    """A text stream whose reader may go away (`| head`, a closed terminal, a full disk).

    `write` and `flush` never raise. After a failure they do nothing, and `lost` is the error.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.lost: OSError | None = None
        self.encoding = stream.encoding

    def write(self, text: str) -> int:
        """Write text, or drop it if the stream is lost."""
        if self.lost is None:
            try:
                self._stream.write(text)
            except OSError as error:
                self._lose(error)
        return len(text)

    def flush(self) -> None:
        """Flush the stream unless it is lost."""
        if self.lost is None:
            try:
                self._stream.flush()
            except OSError as error:
                self._lose(error)

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """The stream's file descriptor."""
        return self._stream.fileno()

    def _lose(self, error: OSError) -> None:
        self.lost = error
        give_up(self._stream)
