"""Reads dates, times of day, ratios, divisions with a remainder and numerals of another base."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from math import gcd, lcm

from data_gen.grading.vocabulary import MONTHS

Form = tuple[str, tuple[int | str | None, ...]]
"""A kind (`date`, `clock`, `ratio`, `remainder`, `range`, `glued`) and its parts, which compare as they are."""

_MONTHS = {form: i + 1 for i, month in enumerate(MONTHS) for form in (month, month[:3], month[:4])}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_DATES = (
    re.compile(r"(?P<year>\d{4})(?P<dash>[-/.])(?P<month>\d{1,2})(?P=dash)(?P<day>\d{1,2})"),
    re.compile(rf"(?P<name>{_MONTH})\.?\s+(?:the\s+)?{_DAY}(?:\s*,?\s+(?P<year>\d{{4}}))?", re.I),
    re.compile(rf"(?:the\s+)?{_DAY}\s+(?:of\s+)?(?P<name>{_MONTH})\.?(?:\s*,?\s+(?P<year>\d{{4}}))?", re.I),
)
_SLASHED = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})")
_CLOCK = re.compile(
    r"(?P<hour>\d{1,2})(?:[:.](?P<minute>[0-5]\d))?(?::(?P<second>[0-5]\d))?\s*(?P<half>[ap])\.?\s?m\.?|"
    r"(?P<hour24>\d{1,2}):(?P<minute24>[0-5]\d)(?::(?P<second24>[0-5]\d))?(?:\s*(?:o'?clock|hours|h))?|"
    r"(?P<full>\d{1,2})\s*o'?\s?clock",
    re.I,
)
_NAMED_TIMES = {"noon": 12, "midday": 12, "midnight": 0}
_RATIO = re.compile(r"\d+(?:\.\d+)?(?:\s*(?::|\bto\b)\s*\d+(?:\.\d+)?)+")
_OUT_OF = re.compile(r"(\d+)\s+(?:out\s+of|in)\s+(?:every\s+)?(\d+)")
_REMAINDER = re.compile(r"(-?\d+)\s*,?\s*(?:with\s+(?:a\s+)?)?(?:remainder(?:\s+of)?|rem\.?|r\.?)\s*:?\s*(\d+)", re.I)
_RANGE = re.compile(r"(?:from\s+)?(\d+(?:\.\d+)?)(?:-{1,3}|\s+-\s*|\s*\b(?:to|through)\b\s*)(\d+(?:\.\d+)?)")
_GLUED = re.compile(r"\d+(?:-\d+)+|\d+(?:/\d+){2,}")
"""Telephone numbers, scores, dates in an unknown order: nothing is subtracted or divided."""
_BASED = re.compile(
    r"(-?)\(?([0-9A-Fa-f]+)\)?(?:_\s*\{?|\s+\(?(?:in\s+)?base[\s-])\s*(\d{1,2}|two|eight|ten|sixteen)\s*[)}]?"
)
_PREFIXED = re.compile(r"(-?)0([xXbBoO])([0-9A-Fa-f]+)")
_BASES = {"two": 2, "eight": 8, "ten": 10, "sixteen": 16, "x": 16, "b": 2, "o": 8}


def read_forms(text: str) -> Iterator[Form]:
    """Every form that the whole text may be. `2 to 3` is a ratio or a range.

    >>> list(read_forms("June 5")), list(read_forms("7 pm")), list(read_forms("4:6")), list(read_forms("5 apples"))
    ([('date', (None, 6, 5))], [('clock', (19, 0, 0, 'half'))], [('ratio', ('2', '3'))], [])
    """
    yield from _dates(text)
    clock = _clock(text)
    if clock:
        yield clock
    elif _RATIO.fullmatch(text):
        yield _ratio(text)
    if match := _REMAINDER.fullmatch(text):
        yield "remainder", (int(match[1]), int(match[2]))
    if (match := _RANGE.fullmatch(text)) and Fraction(match[1]) < Fraction(match[2]):
        yield "range", (str(Fraction(match[1])), str(Fraction(match[2])))
    elif _GLUED.fullmatch(text):
        yield "glued", (text,)


def out_of(text: str) -> Fraction | None:
    """The share that `1 out of 4` is."""
    match = _OUT_OF.fullmatch(text)
    return Fraction(int(match[1]), int(match[2])) if match and int(match[2]) else None


def in_base(text: str) -> int | None:
    """The value of a numeral with its base: `2F_{16}`, `101 in base 2`, `0x2F`. None if its digits do not fit.

    >>> in_base("2F_{16}"), in_base("101 (base two)"), in_base("-0x2F"), in_base("102_2")
    (47, 5, -47, None)
    """
    if match := _PREFIXED.fullmatch(text):
        sign, said, digits = match.groups()
    elif match := _BASED.fullmatch(text):
        sign, digits, said = match.groups()
    else:
        return None
    base = _BASES.get(said.lower()) or int(said)
    try:
        return int(sign + digits, base) if 2 <= base <= 36 else None
    except ValueError:
        return None


def _dates(text: str) -> Iterator[Form]:
    for pattern in _DATES:
        if match := pattern.fullmatch(text):
            parts = match.groupdict()
            month = _MONTHS[parts["name"].lower()] if parts.get("name") else int(parts["month"])
            if 1 <= month <= 12 and 1 <= int(parts["day"]) <= 31:
                yield "date", (int(parts["year"]) if parts["year"] else None, month, int(parts["day"]))
    if match := _SLASHED.fullmatch(text):
        one, other, year = int(match[1]), int(match[3]), int(match[4])
        for month, day in sorted({(one, other), (other, one)}):
            if 1 <= month <= 12 and 1 <= day <= 31:
                yield "date", (year, month, day)


def _clock(text: str) -> Form | None:
    """Hour of 24, minute, second, and how the half of the day is known: said (`half`), by the hour (`day`), or not
    (`open`)."""
    if text.lower().removeprefix("12 ") in _NAMED_TIMES:
        return "clock", (_NAMED_TIMES[text.lower().removeprefix("12 ")], 0, 0, "day")
    match = _CLOCK.fullmatch(text)
    if match is None:
        return None
    if match["half"]:
        hour = int(match["hour"])
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (match["half"].lower() == "p")
        return "clock", (hour, int(match["minute"] or 0), int(match["second"] or 0), "half")
    hour = int(match["hour24"] or match["full"])
    known = "day" if hour > 12 or hour == 0 else "open"
    return ("clock", (hour, int(match["minute24"] or 0), int(match["second24"] or 0), known)) if hour < 25 else None


def _ratio(text: str) -> Form:
    parts = [Fraction(part) for part in re.split(r"\s*(?::|\bto\b)\s*", text)]
    scale = lcm(*(part.denominator for part in parts))
    whole = [int(part * scale) for part in parts]
    shared = gcd(*whole) or 1
    return "ratio", tuple(str(part // shared) for part in whole)
