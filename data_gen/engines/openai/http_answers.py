"""Parses HTTP answers: the JSON, the server's error message, and the wait that it asks for.

A server is not trusted: an answer may be endless, nested without end or no text at all. Each is one failed attempt.
"""

from __future__ import annotations

import email.utils
import json
import math
import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

import httpx2

from data_gen.engines.openai.api_key import ApiKey
from data_gen.errors import UserError

T = TypeVar("T")
ANSWER_BYTES = 64 * 2**20
"""Largest answer that is read, once decompressed."""
_ESCAPED = re.compile(rb"\\u[dD]")
"""The beginning of half a surrogate pair in JSON."""


class Malformed(Exception):
    """An answer that does not fit the request. The request is repeated."""


class Failed(Exception):
    """One attempt failed and may be repeated. `wait` is what the server asked for, in seconds. `cut`: there was no
    answer."""

    def __init__(self, what: str, wait: float = 0.0, *, cut: bool = False) -> None:
        super().__init__(what)
        self.wait, self.cut = wait, cut


async def read_whole(response: httpx2.Response) -> httpx2.Response:
    """A response whose body is still to come, with its body. Failed if that is too large."""
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > ANSWER_BYTES:
            raise Failed(f"status {response.status_code} with an answer of more than {ANSWER_BYTES // 2**20} MiB")
    headers = [(name, value) for name, value in response.headers.multi_items() if name.lower() in _KEPT]
    return httpx2.Response(response.status_code, headers=headers, content=bytes(body), request=response.request)


_KEPT = ("content-type", "retry-after")


def read_answer(response: httpx2.Response, read: Callable[[Any], T], key: ApiKey) -> T:
    """`read` of the answer's JSON. Failed if another attempt may help (408, 429, 5xx, an unreadable answer), else
    UserError."""
    code = response.status_code
    if code in (408, 429) or code >= 500:
        raise Failed(f"status {code}: {_said(response, key)}", retry_after(response))
    if code != 200:
        raise UserError(f"{response.url} answered with status {code}: {_said(response, key)}{_hint(code, key)}")
    try:
        answer = _parsed(response)
    except ValueError as error:
        words = shown(response.text[:10_000], key)[:100]
        raise Failed(f"status 200 with malformed JSON: {words!r} ({str(error)[:100]})") from None
    if isinstance(answer, dict) and answer.get("error"):
        raise Failed(f"status 200 with an error: {_said(response, key)}", retry_after(response))
    try:
        return read(answer)
    except Malformed as error:
        raise Failed(f"status 200 with an answer that does not fit: {shown(str(error), key)[:500]}") from None


def _parsed(response: httpx2.Response) -> Any:
    """The JSON of an answer. ValueError for anything else, for half a surrogate pair, which is no text, and for what is
    nested too deeply."""
    try:
        answer = json.loads(response.content)
        if _ESCAPED.search(response.content):
            json.dumps(answer, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("half a surrogate pair") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return answer


def retry_after(response: httpx2.Response) -> float:
    """Seconds that the server asks to wait, given as a number or a date. 0 if it does not say, or says nonsense."""
    asked = response.headers.get("retry-after", "")
    try:
        seconds = float(asked)
    except ValueError:
        seconds = _until(asked)
    return max(0.0, seconds) if math.isfinite(seconds) else 0.0


def _until(date: str) -> float:
    """Seconds until a date, 0 if it is none."""
    try:
        parts = email.utils.parsedate_tz(date)
        return email.utils.mktime_tz(parts) - time.time() if parts else 0.0
    except (ValueError, OverflowError, TypeError, IndexError):
        return 0.0


def shown(text: str, key: ApiKey) -> str:
    """A server's words as messages show them: without the key, and without characters that a terminal obeys."""
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in key.clean(text))


def _said(response: httpx2.Response, key: ApiKey) -> str:
    """The server's own message, at most 500 characters."""
    try:
        body = _parsed(response)
    except ValueError:
        body = response.text[:10_000]
    error = body.get("error", body.get("detail", body)) if isinstance(body, dict) else body
    text = error.get("message", error) if isinstance(error, dict) else error
    return shown(str(text).strip()[:100_000], key)[:500] or "(no message)"


def _hint(code: int, key: ApiKey) -> str:
    if code in (401, 403):
        return (
            f" The key comes from the variable {key.name}."
            if key.name
            else " Name the variable with the key in engine.api_key_env."
        )
    return " Does engine.base_url end where the API begins, as in http://HOST:PORT/v1?" if code in (404, 405) else ""
