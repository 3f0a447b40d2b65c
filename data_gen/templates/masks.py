"""Which parts of a prompt its template wrote, and which are content: only a template's control tokens are control
tokens."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

OPEN, CLOSE = "\ufdd2", "\ufdd3"
"""Around the number of a masked text. These are no characters, and no text in use holds them."""


class TextRun(NamedTuple):
    """`TextRun("<|im_start|>user\\n", template=True)`."""

    text: str
    template: bool
    """The template wrote it. Else it is content, in which a control token is text."""


class Runs(tuple[TextRun, ...]):
    """Runs of a text, in order."""

    __slots__ = ()

    @classmethod
    def of_content(cls, text: str) -> Runs:
        """A text that no template wrote."""
        return cls((TextRun(text, False),)) if text else cls()

    @property
    def text(self) -> str:
        """The text of all."""
        return "".join(run.text for run in self)


class Masks:
    """Puts marks in place of the control tokens in contents before a template is rendered, and takes them out again."""

    def __init__(self, control: Iterable[str]) -> None:
        longest = sorted(control, key=len, reverse=True)
        self._control = re.compile("|".join(map(re.escape, longest))) if longest else None
        self._kept: list[str] = []

    def put(self, content: str) -> str:
        """A content without control tokens."""
        return self._control.sub(self._mask, content) if self._control else content

    def _mask(self, found: re.Match[str]) -> str:
        self._kept.append(found[0])
        return f"{OPEN}{len(self._kept) - 1}{CLOSE}"

    def runs(self, text: str) -> Runs:
        """A rendered text with the control tokens of its contents back in it."""
        return Runs(TextRun(part, template) for part, template in self._parts(text) if part)

    def _parts(self, text: str) -> Iterator[tuple[str, bool]]:
        parts: Sequence[str] = re.split(f"{OPEN}([0-9]{{1,9}}){CLOSE}", text)
        for i, part in enumerate(parts):
            if i % 2 == 0:
                yield part, True
            elif int(part) < len(self._kept):
                yield self._kept[int(part)], False
            else:  # the template writes such marks itself
                yield f"{OPEN}{part}{CLOSE}", True
