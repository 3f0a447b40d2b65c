"""An API key that is read from the environment and never shown."""

from __future__ import annotations

import base64
import os

from data_gen.errors import UserError

PIECE = 8
"""So many characters of a key in a row are not shown: some servers quote it in parts, or with stars at its end."""


class ApiKey:
    """The key in the environment variable `name`. None: the server needs none. UserError, without the value, if it
    cannot be used.

    >>> ApiKey(None).headers
    {}
    """

    __slots__ = ("_value", "name")

    def __init__(self, name: str | None) -> None:
        self.name = name
        self._value = os.environ.get(name, "").strip() if name else ""
        if name and not self._value:
            raise UserError(
                f"engine.api_key_env: the environment variable {name} is not set or empty; export it before the run."
            )
        if not (self._value.isascii() and self._value.isprintable()):
            raise UserError(
                f"engine.api_key_env: the value of {name} holds characters that no key has; check how it was exported."
            )

    @property
    def headers(self) -> dict[str, str]:
        """Headers of every request."""
        return {"Authorization": f"Bearer {self._value}"} if self._value else {}

    def clean(self, text: str) -> str:
        """`text` without the key, in pieces or in base64: some servers quote a key that they refuse."""
        if not self._value:
            return text
        for form in (self._value, *_encoded(self._value)):
            text = text.replace(form, "[key]")
        return _without_pieces(text, self._value)


def _encoded(value: str) -> list[str]:
    """The key in both alphabets of base64, without the padding."""
    return [encode(value.encode()).decode().rstrip("=") for encode in (base64.b64encode, base64.urlsafe_b64encode)]


def _without_pieces(text: str, value: str) -> str:
    kept, at = [], 0
    while at < len(text):
        end = at + PIECE
        if len(text) < end or text[at:end] not in value:
            kept.append(text[at])
            at += 1
            continue
        while end < len(text) and text[at : end + 1] in value:
            end += 1
        kept.append("[key]")
        at = end
    return "".join(kept)
