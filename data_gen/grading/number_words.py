"""Numbers in words and numerals with words such as million: `minus five`, `two and a half`, `1.5 million`."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from data_gen.grading.vocabulary import TENS, UNITS_TO_NINETEEN

_SMALL = {word: value for value, word in enumerate(UNITS_TO_NINETEEN)}
_TENS = {word: 10 * (i + 2) for i, word in enumerate(TENS)}
MAGNITUDES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
"""Words behind a number that multiply it."""
_PARTS = {
    "half": 2, "halves": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4, "fourth": 4, "fourths": 4,
    "fifth": 5, "fifths": 5, "sixth": 6, "sixths": 6, "seventh": 7, "sevenths": 7, "eighth": 8, "eighths": 8,
    "ninth": 9, "ninths": 9, "tenth": 10, "tenths": 10, "twelfth": 12, "twelfths": 12, "hundredth": 100,
    "hundredths": 100, "thousandth": 1000, "thousandths": 1000,
}  # fmt: skip
_COINS = frozenset(["quarter", "quarters"])
_NUMERAL = r"(?:\d{1,3}(?:,\d{3})+(?![\d,])|\d+)(?:\.\d+)?|\.\d+"
_WORD = re.compile(
    rf"[\s-]*(?:(?P<mixed>\d+\s+\d+\s*/\s*\d+|\d+\s*/\s*\d+)|(?P<numeral>{_NUMERAL})|(?P<word>[A-Za-z]+))"
)
NUMBER_WORDS = frozenset({*_SMALL, *_TENS, *MAGNITUDES, *_PARTS, "hundred", "dozen"})
"""Words that belong to numbers."""
_BEHIND_ARTICLES = frozenset({"hundred", "dozen", *MAGNITUDES, *_PARTS})


class Numeral(NamedTuple):
    """A number at the beginning of a text."""

    value: Fraction
    point: bool
    """Written with a decimal point."""
    fraction: bool
    end: int
    """Where the rest of the text begins."""


def leading_number(text: str) -> Numeral | None:
    """The longest number that begins a text. None if the text does not begin with one.

    >>> leading_number("two and a half hours").value, leading_number("2 million 300 thousand").value
    (Fraction(5, 2), Fraction(2300000, 1))
    """
    said = _Said()
    at, end = len(text) - len(text.lstrip()), 0
    if text[at : at + 1] == "-":
        return None
    while (match := _WORD.match(text, at)) is not None:
        word, after = (match["word"] or "").lower(), match.end()
        if word in _PARTS and (part := said.part(word)) is not None:
            return Numeral(said.total + part, said.point, True, after)
        if word == "point" and said.last in ("small", "tens"):
            return _after_point(text, after, said.value)
        if word == "and":
            whole = said.joined(text, after)
            if isinstance(whole, Numeral) or not whole:
                return whole or said.numeral(end)
            at = after
            continue
        article = word in ("a", "an") and _next_word(text, after) in _BEHIND_ARTICLES
        if not (said.takes_article() if article else said.takes_word(word) if word else said.takes_numeral(match)):
            break
        at = end = after
    return said.numeral(end)


class _Said:
    """A number as far as it was read: groups below a thousand, and the sum of those with their magnitude."""

    def __init__(self) -> None:
        self.total = Fraction(0)
        self.group: Fraction | None = None
        self.limit: int | None = None
        self.point = self.fraction = False
        self.last = ""
        """The kind of the last word."""

    @property
    def value(self) -> Fraction:
        """The sum of everything."""
        return self.total + (self.group or 0)

    def numeral(self, end: int) -> Numeral | None:
        """The number, if there is one."""
        return Numeral(self.value, self.point, self.fraction, end) if end and self.last else None

    def takes_numeral(self, match: re.Match[str]) -> bool:
        """Digits, which begin a group."""
        written = _written(match["mixed"] or match["numeral"]) if self.group is None and not self.fraction else None
        if written is None:
            return False
        self.group, self.last = written, "numeral"
        self.point, self.fraction = self.point or "." in (match["numeral"] or ""), bool(match["mixed"])
        return True

    def takes_article(self) -> bool:
        """`a` before hundred, million and the like."""
        if self.group is not None:
            return False
        self.group, self.last = Fraction(1), "article"
        return True

    def takes_word(self, word: str) -> bool:
        """A cardinal number, `hundred` or a magnitude below the one before."""
        group, magnitude = self.group, MAGNITUDES.get(word)
        if group is not None and magnitude is not None and (self.limit is None or magnitude < self.limit):
            self.total, self.limit, self.group = self.total + group * magnitude, magnitude, None
            self.last = "magnitude"
        elif word == "hundred" and group is not None and self.last != "hundred" and group < 100:
            self.group, self.last = group * 100, "hundred"
        elif (word in _SMALL or word in _TENS) and self._follows(value := _SMALL.get(word, _TENS.get(word, 0))):
            self.group, self.last = (group or 0) + Fraction(value), "tens" if word in _TENS else "small"
        else:
            return False
        return True

    def _follows(self, value: int) -> bool:
        """Whether a cardinal number goes on with the group: five after twenty, anything below 100 after hundred."""
        if self.group is None or (self.last == "tens" and 0 < value < 10):
            return True
        return self.last in ("hundred", "and") and 0 < value < 100

    def part(self, word: str) -> Fraction | None:
        """The group as so many parts: two thirds. None where the word says something else, as in 3 quarters."""
        if self.fraction or (self.last == "numeral" and word in _COINS) or (self.group is None and word != "half"):
            return None
        return (self.group if self.group is not None else Fraction(1)) / _PARTS[word]

    def joined(self, text: str, at: int) -> Numeral | bool:
        """What `and` joins: a fraction (`two and a half`), or the rest of a number (`a hundred and five`)."""
        if self.last in ("small", "tens", "numeral"):
            part = leading_number(text[at:])
            if part is None or not part.fraction or part.value >= 1:
                return False
            return Numeral(self.value + part.value, False, True, at + part.end)
        more = self.last in ("hundred", "magnitude") and leading_number(text[at:]) is not None
        self.last = "and" if more else self.last
        return more


def _next_word(text: str, at: int) -> str:
    match = _WORD.match(text, at)
    return (match["word"] or "").lower() if match else ""


def _written(text: str) -> Fraction | None:
    whole, _, part = text.partition("/")
    if not part:
        if re.match(r"0\d", text):
            return None  # a code
        return Fraction(text.replace(",", ""))
    *front, top = whole.split()
    if int(part) == 0:
        return None
    return Fraction(int(top), int(part)) + (int(front[0]) if front else 0)


def _after_point(text: str, at: int, whole: Fraction) -> Numeral | None:
    digits = ""
    while (match := _WORD.match(text, at)) is not None and _SMALL.get((match["word"] or "").lower(), 10) < 10:
        digits += str(_SMALL[match["word"].lower()])
        at = match.end()
    return Numeral(whole + Fraction(int(digits), 10 ** len(digits)), True, False, at) if digits else None
