"""Numbers in words and numerals with words such as million: `minus five`, `two and a half`, `1.5 million`."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from data_gen.grading.vocabulary import TENS, UNITS_TO_NINETEEN

_SMALL = {word: value for value, word in enumerate(UNITS_TO_NINETEEN)}
_TENS = {word: 10 * (i + 2) for i, word in enumerate(TENS)}
_MAGNITUDES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
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
NUMBER_WORDS = frozenset({*_SMALL, *_TENS, *_MAGNITUDES, *_PARTS, "hundred", "dozen"})
"""Words that belong to numbers."""


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
    total, group, limit = Fraction(0), None, None
    point = fraction = False
    at, end, last = len(text) - len(text.lstrip()), 0, ""
    if text[at : at + 1] == "-":
        return None
    while (match := _WORD.match(text, at)) is not None:
        word = (match["word"] or "").lower()
        step: Fraction | None = None
        if match["mixed"] or match["numeral"]:
            if group is not None or fraction:
                break
            step = _written(match["mixed"] or match["numeral"])
            point, fraction = point or "." in (match["numeral"] or ""), bool(match["mixed"])
            if step is None:
                return None
            last = "numeral"
        elif word in _SMALL or word in _TENS:
            step = _word_step(word, group, last)
            last = "tens" if word in _TENS else "small"
        elif word in ("a", "an") and group is None:
            after = _WORD.match(text, match.end())
            if after is None or (after["word"] or "").lower() not in {"hundred", "dozen", *_MAGNITUDES, *_PARTS}:
                break
            step, last = Fraction(1), "article"
        elif word == "hundred" and group is not None and last != "hundred" and group < 100:
            step, last = group * 100, "hundred"
        elif word in _MAGNITUDES and group is not None and (limit is None or _MAGNITUDES[word] < limit):
            total, limit = total + group * _MAGNITUDES[word], _MAGNITUDES[word]
            group, at, last = None, match.end(), "magnitude"
            end = at
            continue
        elif word in _PARTS and not fraction and not (last == "numeral" and word in _COINS):
            part = (group if group is not None and last != "and" else Fraction(1)) / _PARTS[word]
            if group is None and word != "half":
                break
            return Numeral(total + part, point, True, match.end())
        elif word == "and" and (whole := _joined(text, match.end(), total, group, last)) is not None:
            if isinstance(whole, Numeral):
                return whole
            at, last = match.end(), "and"
            continue
        elif word == "point" and last in ("small", "tens"):
            return _after_point(text, match.end(), total + (group or 0))
        if step is None:
            break
        group, at = step, match.end()
        end = at
    if not end or (group is None and limit is None):
        return None
    return Numeral(total + (group or 0), point, fraction, end)


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


def _word_step(word: str, group: Fraction | None, last: str) -> Fraction | None:
    """The group with one more word: twenty + one, hundred + five."""
    value = Fraction(_SMALL.get(word, _TENS.get(word, 0)))
    if group is None:
        return value
    if last == "tens" and 0 < value < 10:
        return group + value
    return group + value if last in ("hundred", "and") and 0 < value < 100 else None


def _joined(text: str, at: int, total: Fraction, group: Fraction | None, last: str) -> Numeral | bool | None:
    """What `and` joins: a fraction (`two and a half`), or the rest of a number (`a hundred and five`)."""
    if last in ("small", "tens", "numeral") and group is not None:
        part = leading_number(text[at:])
        return (
            Numeral(total + group + part.value, False, True, at + part.end)
            if part and part.fraction and part.value < 1
            else None
        )
    return True if last in ("hundred", "magnitude") and leading_number(text[at:]) else None


def _after_point(text: str, at: int, whole: Fraction) -> Numeral | None:
    digits = ""
    while (match := _WORD.match(text, at)) is not None and _SMALL.get((match["word"] or "").lower(), 10) < 10:
        digits += str(_SMALL[match["word"].lower()])
        at = match.end()
    return Numeral(whole + Fraction(int(digits), 10 ** len(digits)), True, False, at) if digits else None
