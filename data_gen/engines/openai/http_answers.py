"""Parses HTTP answers: the JSON, the server's error message, and the wait that it asks for."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Callable
from typing import Any, TypeVar

import httpx2

from data_gen.engines.openai.api_key import ApiKey
from data_gen.errors import UserError

T = TypeVar("T")


class Malformed(Exception):
    """An answer that does not fit the request. The request is repeated."""


class Failed(Exception):
    """One attempt failed and may be repeated. `wait` is what the server asked for, in seconds. `cut`: there was no
    answer."""

    def __init__(self, what: str, wait: float = 0.0, *, cut: bool = False) -> None:
        super().__init__(what)
        self.wait, self.cut = wait, cut


def read_answer(response: httpx2.Response, read: Callable[[Any], T], key: ApiKey) -> T:
    """`read` of the answer's JSON. Failed if another attempt may help (408, 429, 5xx, an unreadable answer), else
    UserError."""
    code = response.status_code
    if code in (408, 429) or code >= 500:
        raise Failed(f"status {code}: {_said(response, key)}", retry_after(response))
    if code != 200:
        raise UserError(f"{response.url} answered with status {code}: {_said(response, key)}{_hint(code, key)}")
    try:
        return read(response.json())
    except ValueError:
        raise Failed(f"status 200 with malformed JSON: {key.clean(response.text)[:100]!r}") from None
    except Malformed as error:
        raise Failed(f"status 200 with an answer that does not fit: {key.clean(str(error))}") from None


def retry_after(response: httpx2.Response) -> float:
    """Seconds that the server asks to wait, given as a number or a date. 0 if it does not say."""
    asked = response.headers.get("retry-after", "")
    try:
        return max(0.0, float(asked))
    except ValueError:
        date = email.utils.parsedate_tz(asked)
        return max(0.0, email.utils.mktime_tz(date) - time.time()) if date else 0.0


def _said(response: httpx2.Response, key: ApiKey) -> str:
    """The server's own message, at most 500 characters."""
    try:
        body = response.json()
    except ValueError:
        body = response.text
    error = body.get("error", body.get("detail", body)) if isinstance(body, dict) else body
    text = error.get("message", error) if isinstance(error, dict) else error
    return key.clean(str(text).strip())[:500] or "(no message)"


def _hint(code: int, key: ApiKey) -> str:
    if code in (401, 403):
        return (
            f" The key comes from the variable {key.name}."
            if key.name
            else " Name the variable with the key in engine.api_key_env."
        )
    return " Does engine.base_url end where the API begins, as in http://HOST:PORT/v1?" if code in (404, 405) else ""
