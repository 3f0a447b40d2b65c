"""The base class of errors that the user can fix, and helpers for their messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from data_gen.printable import printable

_LONGEST = 200
"""Most characters of a quoted text."""


class UserError(Exception):
    """A problem in the recipe, the data or the machine that the user can fix.

    The message names the field, the value, what was expected and what to do. Commands print it without a traceback. It
    may quote files and servers, so control characters are written out.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


class LoadError(UserError):
    """Files cannot be loaded. If they are an artifact's, its bytes are compared with those that were published."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for an unknown `name`: " Did you mean 'x'?" or the list of known names. In a list, names are quoted where
    one of them holds a comma."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f" Did you mean {close[0]!r}?"
    shown = list(map(repr, names)) if any("," in one for one in names) else names
    return f" Known: {', '.join(shown)}." if names else ""


def excerpt(text: str) -> str:
    """A text quoted for a message. The middle of a long one is left out."""
    half = _LONGEST // 2
    return repr(text if len(text) <= _LONGEST else f"{text[:half]} ... {text[-half:]}")


def first_line(error: BaseException) -> str:
    """The type and the first line of an error from a library, for a message."""
    said = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {said[:200]}" if said else type(error).__name__
