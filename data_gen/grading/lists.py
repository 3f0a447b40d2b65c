"""Lists in answers, read from JSON, Python notation or text with separators. Elements are compared by type."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from data_gen.grading.clean import after_lead_in, plain

_LONGEST = 100_000
"""Most characters of a text that is read as a list."""
_MOST_DIGITS = 4300
"""Longest numeral that is read as a number, the limit of Python's `int`. A longer one is text."""
_NUMERAL = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?")
_MISSING = object()


def read_list(text: str, fields: Sequence[str] = (), separator: str = ",", last: str | None = None) -> list[Any] | None:
    """The elements of a list. None if the text is no list.

    Args:
        text: JSON (`["a", 1]`), Python's notation (`['a', 1]`), or elements between separators, in brackets or not.
        fields: For an object: its values under these names, in order; a value that is a list gives its elements.
        separator: Between elements of text without quotes.
        last: For an object: the name of its last element, which is one element even if it is a list itself.

    >>> read_list('["a b", "", 3]'), read_list("[a b, 3]"), read_list('{"steps": ["x"], "last": 2}', ["steps", "last"])
    (['a b', '', 3], ['a b', '3'], ['x', 2])
    """
    text = after_lead_in(text).strip()
    value = _literal(text)
    if isinstance(value, dict):
        named = [*fields, *([] if last is None else [last])]
        if any(name not in value for name in named) or not named:
            return None
        parts = [value[name] for name in fields]
        joined = [element for part in parts for element in (part if isinstance(part, list) else [part])]
        return joined if last is None else [*joined, value[last]]
    if isinstance(value, list | tuple):
        return list(value)
    inside = re.fullmatch(r"[\[({](.*)[\])}]", plain(text).removeprefix("\\").strip(), re.S)
    bare = (inside[1].removesuffix("\\") if inside else plain(text)).strip()
    return [part.strip().strip("'\"") for part in bare.split(separator)] if bare else ([] if inside else None)


def same_element(gold: Any, said: Any) -> bool:
    """Whether two elements are the same.

    Numbers are equal by value, text by its characters except for white space at both ends, lists element by element.
    Text equals a number only if it is that number's numeral: "7" is 7 and "007" is not.
    """
    if isinstance(gold, list | tuple) or isinstance(said, list | tuple):
        both = isinstance(gold, list | tuple) and isinstance(said, list | tuple)
        return both and len(gold) == len(said) and all(map(same_element, gold, said))
    if isinstance(gold, dict) and isinstance(said, dict):
        return gold.keys() == said.keys() and all(same_element(gold[name], said[name]) for name in gold)
    mine, theirs = _atom(gold), _atom(said)
    if isinstance(gold, str) and isinstance(said, str):
        return gold.strip() == said.strip() or (mine == theirs and isinstance(mine, Fraction))
    return mine == theirs


def prefix_length(gold: Sequence[Any], said: Sequence[Any]) -> int:
    """How many elements agree from the front."""
    pairs = list(zip(gold, said, strict=False))
    return next((i for i, pair in enumerate(pairs) if not same_element(*pair)), len(pairs))


def _literal(text: str) -> Any:
    """The value in JSON or Python notation. `_MISSING` if it is neither."""
    if not text or len(text) > _LONGEST or text[0] not in "[({":
        return _MISSING
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
    return _MISSING


def _atom(value: Any) -> Any:
    """A number as a Fraction, including text that is a numeral. Anything else as text."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, int):
        return Fraction(value)
    if isinstance(value, float):
        return Fraction(str(value)) if value == value and abs(value) != float("inf") else str(value)
    text = str(value).strip()
    return Fraction(text) if len(text) <= _MOST_DIGITS and _NUMERAL.fullmatch(text) else text
