"""Mark-up off: what of a final answer is decoration and not content."""

from __future__ import annotations

import re

_WRAPPERS = (
    re.compile(r"\$\$(.*)\$\$", re.S),
    re.compile(r"\$([^$]*[^$\\])\$", re.S),
    re.compile(r"\\\((.*)\\\)", re.S),
    re.compile(r"\\\[(.*)\\\]", re.S),
    re.compile(r"\*\*(.*)\*\*", re.S),
    re.compile(r"`([^`]*)`"),
)
_REPLACED = (
    (re.compile(r"\\(?:text|textbf|mathrm|mathbf|mbox|textit)\s*\{([^{}]*)\}"), r" \1 "),
    (re.compile(r"\\[dt]frac"), r"\\frac"),
    (re.compile(r"\\left(?![a-z])|\\right(?![a-z])|\\displaystyle"), ""),
    (re.compile(r"(?<!\\)\\[,!;: ]|~|\u00a0|\u202f"), " "),
    (re.compile(r"(?<=\d) +(?=,\d{3})|(?<=\d)\{,\}(?=\d)"), ""),
    (re.compile(r"\^\{?\s*\\circ\s*\}?|°"), " degrees"),
    (re.compile(r"\\([$%])"), r"\1"),
    (re.compile(r"[\u2212\u2013\u2010]"), "-"),
)
_THIN_THOUSANDS = re.compile(r"(?<=\d)(?:\\[,!]|\{,\}|\u202f)(?=\d{3}(?!\d))")
_COMMAND = re.compile(r"\\(?:begin|end)\{\w+\}|\\[A-Za-z]+")
_WORD = re.compile(r"[A-Za-z]{2,}")
MATH_WORDS = frozenset(
    {
        "pi",
        "sqrt",
        "log",
        "ln",
        "exp",
        "sin",
        "cos",
        "tan",
        "cot",
        "sec",
        "csc",
        "arcsin",
        "arccos",
        "arctan",
        "mod",
        "frac",
    }
)
"""Words that belong to formulas."""


def plain(text: str) -> str:
    r"""The text without wrappers (`$..$`, `\(..\)`, `\boxed{..}`, bold), text commands, spacing commands and closing
    stop.

    >>> plain(r"$\boxed{\text{(B)}}$"), plain(r"\$1{,}234."), plain(r"\dfrac{1}{2}")
    ('(B)', '$1,234', '\\frac{1}{2}')
    """
    text = _THIN_THOUSANDS.sub(",", text)
    for pattern, by in _REPLACED:
        text = pattern.sub(by, text)
    before = None
    while text != before:
        before = text
        text = _unwrapped(text.strip().removesuffix(".").strip())
    return text


def words(text: str) -> list[str]:
    """Ordinary words in lower case: two letters or more, no commands, no names of functions."""
    found = [w.lower() for w in _WORD.findall(_COMMAND.sub(" ", text))]
    return [w for w in found if w not in MATH_WORDS]


def is_free_text(text: str) -> bool:
    """Whether a text is words and punctuation only, no formula."""
    return not re.search(r"[\d\\+*/=<>^_{}()|]", text) and any(len(w) > 2 for w in words(text))


def _unwrapped(text: str) -> str:
    for wrapper in _WRAPPERS:
        if (match := wrapper.fullmatch(text)) is not None:
            return match[1]
    boxed = re.match(r"\\(?:boxed|fbox)\s*\{", text)
    if boxed and text.endswith("}") and _closes_last(text, boxed.end() - 1):
        return text[boxed.end() : -1]
    return text


def _closes_last(text: str, opening: int) -> bool:
    """Whether the brace at `opening` is closed by the last character and not before."""
    depth = 0
    for i in range(opening, len(text)):
        depth += {"{": 1, "}": -1}.get(text[i], 0)
        if depth == 0:
            return i == len(text) - 1
    return False
