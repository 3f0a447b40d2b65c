"""How values of a dataset become text. Text, numbers and truth values do, and a chat of one user message; anything
else is refused, since its `repr` would be taken for text."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from data_gen.sources.floats import decimal_text

LONGEST_TEXT = 10_000_000
"""Most characters of one text."""
EXPECTED_TEXT = "expected text, a number, or true or false"
"""What a value is expected to be, for messages."""
_NOTES = re.compile(r"<<[^<>]*>>")
_KINDS: dict[type, str] = {list: "a list", dict: "an object", tuple: "a list"}
_ROLES = {"human": "user", "gpt": "assistant"}
"""Roles of ShareGPT, by the names of everybody else."""


class BadValue(Exception):
    """A value that cannot be read as what its column is for. The message says what was found and what was expected."""


def text_of(value: Any) -> str:
    """A value as text without white space around it: 51.0 as `51`, true as `yes`. BadValue for anything but text,
    numbers and truth values.

    >>> text_of(51.0), text_of(1e23), text_of(0.25), text_of(False)
    ('51', '100000000000000000000000', '0.25', 'no')
    """
    if isinstance(value, str):
        return _sound(value).strip()
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float | Decimal):
        return _number(value)
    raise BadValue(f"{EXPECTED_TEXT}; found {shown(value)}")


def _number(value: float | Decimal) -> str:
    if not math.isfinite(value):
        raise BadValue(f"found {shown(value)}, which is no number; leave the value out if there is none")
    return decimal_text(value)


def _sound(text: str) -> str:
    if len(text) > LONGEST_TEXT:
        raise BadValue(f"found a text of {len(text):,} characters; expected at most {LONGEST_TEXT:,}")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise BadValue(
                f"found half a surrogate pair, {text[error.start]!a}, at character {error.start + 1}, which is no "
                "Unicode text; write the whole character"
            ) from None
    return text


def question_of(value: Any) -> str:
    """A question's text. A chat is read, too: one user message, with any system messages before it. A blank user
    message is no question, whatever the system messages say.

    >>> question_of([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 3?"}])
    'Be brief.\\n\\n2 + 3?'
    """
    turns = [value] if isinstance(value, Mapping) else value
    if not (isinstance(turns, list | tuple) and turns and all(map(_is_message, turns))):
        return text_of(value)
    roles = [str(_ROLES.get(role, role)) for role in (turn.get("role", turn.get("from")) for turn in turns)]
    if roles[-1] != "user" or set(roles[:-1]) - {"system"}:
        raise BadValue(
            f"expected a chat of one user message, system messages before it; found the roles {', '.join(roles)}. Name "
            "one message with its number, such as `messages.0.content`"
        )
    texts = [_content(turn.get("content", turn.get("value"))) for turn in turns]
    return "\n\n".join(filter(None, texts)) if texts[-1] else ""


def _is_message(value: Any) -> bool:
    return isinstance(value, Mapping) and ({"role", "content"} <= value.keys() or {"from", "value"} <= value.keys())


def _content(value: Any) -> str:
    """The text of a message, which may be a list of text parts."""
    if not isinstance(value, list):
        return text_of(value)
    for part in value:
        if not (isinstance(part, Mapping) and part.get("type") == "text" and isinstance(part.get("text"), str)):
            raise BadValue(f"expected text parts in a message; found {shown(part)}")
    return "".join(_sound(part["text"]) for part in value).strip()


def json_of(value: Any) -> str:
    """A list or an object as JSON, which keeps its types and its empty elements."""
    try:
        return _sound(json.dumps(value, ensure_ascii=False, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise BadValue(f"found {shown(value)}, which cannot be written as JSON ({error})") from None


def step_lines(value: Any) -> tuple[str, ...]:
    """Steps from a list of texts or from lines of text, without calculator notes (`<<2+3=5>>`) and empty lines."""
    if value is None:
        return ()
    if isinstance(value, str):
        lines = _sound(value).splitlines()
    elif isinstance(value, list | tuple):
        lines = [" ".join(text.split()) for text in texts_of(value)]
    else:
        raise BadValue(f"expected text or a list of texts; found {shown(value)}")
    return tuple(line for line in (_NOTES.sub("", raw).strip() for raw in lines) if line)


def texts_of(values: Sequence[Any]) -> list[str]:
    """Every element as text. BadValue names the first that is none."""
    found = []
    for i, value in enumerate(values):
        try:
            found.append(text_of(value))
        except BadValue as error:
            raise BadValue(f"element {i}: {error}") from None
    return found


def shown(value: Any) -> str:
    """A value for a message: its kind and its beginning.

    >>> shown({"number": "5"}), shown(None)
    ("an object, {'number': '5'}", 'null')
    """
    if value is None:
        return "null"
    if isinstance(value, float | Decimal):
        return "NaN" if math.isnan(value) else repr(value)
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    try:
        text = repr(list(value)[:4] if isinstance(value, list | tuple) else value)
    except RecursionError:
        text = "nested too deeply to show"
    kind = _KINDS.get(type(value), f"a value of type {type(value).__name__}")
    return f"{kind}, {text if len(text) <= 80 else text[:77] + '...'}"
