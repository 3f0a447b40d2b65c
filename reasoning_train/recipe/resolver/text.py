"""The text of references: `${stages.sample.data}`, values embedded in text, `$${` for a literal `${`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from data_gen.errors import nearest
from reasoning_train.api.refs import Ref
from reasoning_train.recipe import limits

_PIECE = re.compile(r"\$\$\{|\$\{([^{}]*)(\}?)")
_PART = r"[\w-]+(?:\[[^\[\]{}]*\])?"
_PATH = re.compile(rf"(?![\d-]){_PART}(?:\.{_PART})*")


class BadReference(Exception):
    """A reference that cannot be resolved; the message says why. It is caught where the place in the recipe is
    known."""


def expand(text: str, look_up: Callable[[str], Any]) -> Any:
    """`text` with its references resolved by `look_up(path)`. A reference that is the whole text keeps its type."""
    whole = _PIECE.fullmatch(text)
    if whole and text != "$${":
        return look_up(_path(whole))
    grown = 0

    def filled(piece: re.Match[str]) -> str:
        """The text of a reference."""
        nonlocal grown
        own = "${" if piece[0] == "$${" else _embed(_path(piece), look_up)
        grown += len(own)
        if grown > limits.TEXT:
            raise BadReference(f"the text grows beyond {limits.TEXT:,} characters once its references are filled in")
        return own

    return _PIECE.sub(filled, text)


def paths(text: str) -> list[str]:
    """The dotted paths that a text refers to."""
    return [piece[1].strip() for piece in _PIECE.finditer(text) if piece[0] != "$${"]


def parts_of(path: str) -> list[str]:
    """The parts of a dotted path. Dots in brackets do not separate.

    >>> parts_of("stages.tuned[beta=0.3].model")
    ['stages', 'tuned[beta=0.3]', 'model']
    """
    return re.findall(_PART, path)


def _path(piece: re.Match[str]) -> str:
    path = piece[1].strip()
    if not piece[2] or not _PATH.fullmatch(path):
        raise BadReference(
            f"{piece[0]!r} is not a reference; write ${{stages.NAME}}, or $${{ for the two characters themselves"
        )
    return path


def _embed(path: str, look_up: Callable[[str], Any]) -> str:
    value = look_up(path)
    if isinstance(value, Ref):
        raise BadReference(f"${{{path}}} is an output of a stage and cannot be part of a text; it must stand alone")
    if isinstance(value, (dict, list)):
        raise BadReference(
            f"${{{path}}} is a {'map' if isinstance(value, dict) else 'list'} and cannot be part of a text"
        )
    return (
        {None: "null", True: "true", False: "false"}.get(value, str(value))
        if value is None or isinstance(value, bool)
        else str(value)
    )


def hint(name: str, known: Iterable[str]) -> str:
    """The nearest known name as the end of a sentence."""
    return f".{nearest(name, known)}".rstrip(".")
