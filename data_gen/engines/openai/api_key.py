"""An API key that is read from the environment and never shown."""

from __future__ import annotations

import os

from data_gen.errors import UserError


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
        """`text` without the key: some servers quote a key that they refuse."""
        return text.replace(self._value, "[key]") if self._value else text
