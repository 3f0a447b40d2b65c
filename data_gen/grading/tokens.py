"""Cuts formulas in LaTeX or plain notation into tokens. A character that no rule names makes the text unreadable."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

LONGEST = 2000
"""Longest text that is read as a formula, in characters."""
_DIGITS = r"(?:\d+(?:\.\d+)?|\.\d+|\d+\.(?![\d.]))"
_SCIENTIFIC = r"(?:\d+(?:\.\d+)?|\.\d+)[eE][+-]?\d{1,3}(?![\d.A-Za-z(])"
_GROUPED = r"\d{1,3}(?:,\d{3})+(?![\d,]|\s*,\s*\d{3}\b)(?:\.\d+)?"
_REPEATING = (
    r"(?P<front>\d*)\.(?P<still>\d*)(?:\\(?:overline|bar|dot)\s*\{?(?P<over>\d+)\}?|\((?P<round>\d+)\)"
    r"|(?P<marked>(?:\d\u0305)+)|(?P<shown>(?P<block>\d{1,6}?)(?P=block){2,}|(?P<pair>\d{2,6}?)(?P=pair))"
    r"(?:\.\.\.|\\l?dots))"
)
_TOKEN = re.compile(
    rf"(?P<space>\s+)|(?P<repeating>{_REPEATING})|(?P<grouped>{_GROUPED})|(?P<number>{_SCIENTIFIC}|{_DIGITS})"
    r"|(?P<command>\\(?:[A-Za-z]+|[{}|\\]))|(?P<word>[A-Za-z]+)|(?P<sign>\*\*|<=|>=|!=|[-+*/^_(){}\[\]|<>=,;:!'&%])"
)
_LOG_BASE = re.compile(r"((?<![A-Za-z])log)(\d+)\(")
"""A logarithm as programs write it: log10(100)."""
_SAME = {
    "\\cdot": "*",
    "\\times": "*",
    "**": "^",
    "\\div": "/",
    "\\le": "<=",
    "\\leq": "<=",
    "\\leqslant": "<=",
    "\\ge": ">=",
    "\\geq": ">=",
    "\\geqslant": ">=",
    "\\lt": "<",
    "\\gt": ">",
    "\\ne": "!=",
    "\\neq": "!=",
    "\\approx": "=",
    "\\equiv": "=",
    "\\lbrace": "\\{",
    "\\rbrace": "\\}",
    "\\lbrack": "[",
    "\\rbrack": "]",
    "\\vert": "|",
    "\\lvert": "|",
    "\\rvert": "|",
    "\\mid": "|",
    "\\colon": ":",
    "\\prime": "'",
    "\\wedge": "\\land",
    "\\varnothing": "\\emptyset",
}
_OPENING, _CLOSING = ("(", "[", "\\{"), (")", "]", "\\}")


class Token(NamedTuple):
    """A piece of a formula."""

    kind: str
    """`number`, `command`, `word` or `sign`."""
    text: str
    value: Fraction | None = None
    """The value of a number; None for other kinds."""
    point: bool = False
    """Whether a number is written with a decimal point and ends where it was cut."""


class Unreadable(Exception):
    """Some of a text was not understood. It never leaves this package."""


def tokens(text: str) -> list[Token]:
    """The tokens of a whole text. Commas group digits (`1,234`) except in brackets, where they separate.

    Raises:
        Unreadable: For an unknown character, and for a text that is too long.
    """
    if len(text) > LONGEST:
        raise Unreadable
    text = _LOG_BASE.sub(r"\1_{\2}(", text)
    found: list[Token] = []
    at = depth = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is not None and match.lastgroup is not None and match["grouped"] and depth:
            match = re.compile(rf"(?P<number>{_DIGITS})").match(text, at)
        if match is None:
            raise Unreadable
        at = match.end()
        token = _token(match)
        if token is not None:
            depth += (token.text in _OPENING or (token.text == "{" and not found)) - (token.text in _CLOSING)
            found.append(token)
    return found


def _token(match: re.Match[str]) -> Token | None:
    groups = match.groupdict()
    if groups.get("space"):
        return None
    if groups.get("repeating"):
        return Token("number", match[0], _repeating(match))
    if text := groups.get("grouped") or groups.get("number"):
        if re.match(r"0\d", text):
            raise Unreadable  # a code
        return Token("number", text, Fraction(text.replace(",", "").rstrip(".")), "." in text)
    if groups.get("word"):
        return Token("word", match[0])
    text = _SAME.get(match[0], match[0])
    return Token("command" if text.startswith("\\") and text not in _OPENING + _CLOSING else "sign", text)


def _repeating(match: re.Match[str]) -> Fraction:
    """0.1(6) as 1/6."""
    front, still = match["front"] or "0", match["still"]
    block = (
        match["over"]
        or match["round"]
        or match["block"]
        or match["pair"]
        or (match["marked"] or "").replace("\u0305", "")
    )
    scale = 10 ** len(still)
    start = Fraction(int(front + still), scale)
    return start + Fraction(int(block), scale * (10 ** len(block) - 1))
