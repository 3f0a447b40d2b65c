"""Unicode as the ASCII that it stands for: digits of any script, letters of any width, signs, fractions, exponents."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from data_gen.grading.vocabulary import GREEK

_SIGNS = {
    **dict.fromkeys("\u2212\u2013\u2014\u2010\u2011\u2012\u2015\ufe63\uff0d\u02d7", "-"),
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u00b4\uff07", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\uff02", '"'),
    **dict.fromkeys("\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00ad", ""),
    "\u211d": "\\mathbb{R}",
    "\u2033": "''",
    "\u3002": ".",
    "\uff0e": ".",
    "\uff0c": ",",
    "\u3001": ",",
    "\uff1b": ";",
    "\u066b": ".",
    "\u066c": ",",
    "\u2215": "/",
    "\u2044": "/",
}
_COMMANDS = {
    **dict.fromkeys("\u00d7\u2715\u2a2f", "\\times "),
    **dict.fromkeys("\u00b7\u22c5\u2219\u2217", "\\cdot "),
    "\u00f7": "\\div ",
    "\u221e": "\\infty ",
    "\u2264": "\\le ",
    "\u2265": "\\ge ",
    "\u2a7d": "\\le ",
    "\u2a7e": "\\ge ",
    "\u2260": "\\ne ",
    "\u2248": "\\approx ",
    "\u2245": "\\approx ",
    "\u00b1": "\\pm ",
    "\u2213": "\\mp ",
    "\u222a": "\\cup ",
    "\u2229": "\\cap ",
    "\u2208": "\\in ",
    "\u2205": "\\emptyset ",
    "\u221a": " sqrt ",
    "\u221b": " cbrt ",
    "\u27e8": "\\langle ",
    "\u27e9": "\\rangle ",
    "\u2329": "\\langle ",
    "\u232a": "\\rangle ",
}
_SPELLED = {"lambda": "lamda"}
"""Names of letters that Unicode spells otherwise."""
_GREEK = {
    unicodedata.lookup(
        f"GREEK {'SMALL' if word.islower() else 'CAPITAL'} LETTER {_SPELLED.get(word.lower(), word).upper()}"
    ): (f"\\{word} ")
    for word in GREEK | {"pi"}
    if not word.startswith("var") and word != "ell"
}
_READ_AS = frozenset(
    {"wide", "narrow", "font", "noBreak", "compat", "square", "initial", "medial", "final", "isolated"}
)
"""Compatibility forms that a reader takes for the plain ones. A circled digit is a mark, and stays what it is."""
_VULGAR = re.compile(r"(\d?)([\u00bc-\u00be\u2150-\u215e\u2189])")
_RAISED = re.compile(r"[\u00b2\u00b3\u00b9\u2070\u2071\u2074-\u207c\u207f]+")
_LOWERED = re.compile(r"[\u2080-\u208c\u2090-\u209c]+")
_THIN_THOUSANDS = re.compile(r"(?<=\d)[\u00a0\u202f\u2009](?=\d{3}(?!\d))")


def ascii_form(text: str) -> str:
    """The text with every character that only looks different replaced by the plain one.

    >>> ascii_form("\uff13\uff15"), ascii_form("2\u00bd"), ascii_form("\u22125\u00b2")
    ('35', '2 1/2', '-5^{2}')
    """
    if text.isascii():
        return text
    text = _THIN_THOUSANDS.sub(",", text)
    text = _VULGAR.sub(lambda m: f"{m[1] and m[1] + ' '}{unicodedata.normalize('NFKC', m[2])}", text)
    text = _RAISED.sub(lambda m: f"^{{{unicodedata.normalize('NFKC', m[0])}}}", text)
    text = _LOWERED.sub(lambda m: f"_{{{unicodedata.normalize('NFKC', m[0])}}}", text)
    return "".join(map(_plain, text))


def with_commands(text: str) -> str:
    """The text with mathematical signs and Greek letters as LaTeX commands.

    >>> with_commands("2\\u03c0 \\u2264 x"), with_commands("pi")
    ('2\\\\pi  \\\\le  x', 'pi')
    """
    return text if text.isascii() else "".join(_COMMANDS.get(char) or _GREEK.get(char) or char for char in text)


@cache
def _plain(char: str) -> str:
    if char.isascii():
        return char
    if (sign := _SIGNS.get(char)) is not None:
        return sign
    if char.isdecimal():
        return str(unicodedata.decimal(char))
    kind, _, _ = unicodedata.decomposition(char).partition(" ")
    if kind.strip("<>") in _READ_AS and kind.startswith("<"):
        return "".join(map(_plain, unicodedata.normalize("NFKC", char)))
    return " " if char.isspace() else unicodedata.normalize("NFC", char)
