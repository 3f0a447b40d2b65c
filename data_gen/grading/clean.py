"""Removes the formatting of final answers, and decides when two texts are equal."""

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
_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: " ", 0x3002: "."}
"""Full-width forms of ASCII, and the ideographic space and full stop."""
_LEAD_IN = re.compile(
    r"(?:(?:so|thus|hence|therefore)\b,?\s*)?(?:the|my|our)?\s*(?:(?:final|correct|right|best)\s+)?"
    r"(?:answer|result)\s*(?:is\b|:|=)\s*:?\s*(\S.*)",
    re.S | re.I,
)
_THIN_THOUSANDS = re.compile(r"(?<=\d)(?:\\[,!]|\{,\}|\u202f)(?=\d{3}(?!\d))")
_PUNCTUATION = " .,;:?'\"\u201c\u201d\u2018\u2019`*"
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
    r"""The text without wrappers (`$..$`, `\(..\)`, `\boxed{..}`, bold), text commands, spacing commands and final full
    stop. Full-width characters become ASCII.

    >>> plain(r"$\boxed{\text{(B)}}$"), plain(r"\$1{,}234."), plain(r"\dfrac{1}{2}")
    ('(B)', '$1,234', '\\frac{1}{2}')
    """
    text = _THIN_THOUSANDS.sub(",", text.translate(_WIDE))
    for pattern, by in _REPLACED:
        text = pattern.sub(by, text)
    before = None
    while text != before:
        before = text
        text = _unwrapped(text.strip().removesuffix(".").strip())
    return text


def words(text: str) -> list[str]:
    """Ordinary words in lower case: at least two letters, no commands, no function names."""
    found = [w.lower() for w in _WORD.findall(_COMMAND.sub(" ", text))]
    return [w for w in found if w not in MATH_WORDS]


def after_lead_in(text: str) -> str:
    """The text after a beginning such as `The answer is`. Without one, the text itself.

    >>> after_lead_in("So the final answer is: 5 apples"), after_lead_in("5 apples")
    ('5 apples', '5 apples')
    """
    match = _LEAD_IN.fullmatch(text.strip())
    return match[1] if match else text


def same_text(gold: str, answer: str) -> bool:
    """Whether two texts have the same words. Case, mark-up, white space, punctuation at both ends and a lead-in do not
    count. Articles, accents and inner punctuation do.

    >>> same_text("New York", r"\\text{new  York}."), same_text("New York", "York New")
    (True, False)
    """
    return _folded(gold) == _folded(answer)


def _folded(text: str) -> str:
    folded = " ".join(after_lead_in(plain(text)).casefold().split())
    return folded.strip(_PUNCTUATION) or folded


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
