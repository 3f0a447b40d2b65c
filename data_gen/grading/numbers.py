"""Exact readings of numbers: integers, decimals, fractions, mixed numbers, with currency, units, percent and words such
as million."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from data_gen.grading.clean import MATH_WORDS, words

_LONGEST = 400
"""Longest text that is read as a number, in characters."""
_NUM = r"(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)"
_BODY = (
    rf"(?:(?P<whole>\d+)\s*(?:\s(?P<mn>\d+)\s*/\s*(?P<md>\d+)|\s*\\frac\{{(?P<mn2>\d+)\}}\{{(?P<md2>\d+)\}})"
    rf"|\\frac\s*\{{\s*(?P<fn>-?{_NUM})\s*\}}\s*\{{\s*(?P<fd>-?{_NUM})\s*\}}|\\frac\s*(?P<sn>\d)\s*(?P<sd>\d)"
    rf"|(?P<n>{_NUM})\s*/\s*(?P<d>{_NUM})|(?P<num>{_NUM})(?:(?:[eE]|\s*(?:\\times|\\cdot|×|\*)\s*10\s*\^\s*)\{{?(?P<exp>[+-]?\d{{1,3}})\}}?)?)"
)
_NUMBER = re.compile(
    rf"(?P<sign>[-+]?)\s*(?:[$€£]|USD|US\$)?\s*(?P<sign2>-?)\s*{_BODY}"
    r"\s*(?P<unit>%|[$€£]|-?[A-Za-z][A-Za-z0-9 /^²³{}.()-]*)?"
)
_TOKEN = re.compile(
    rf"(?<![\w.])-?[$€£]?(?:{_NUM}\s*/\s*{_NUM}|{_NUM})(?:\s*(?:%|percent\b|million\b|billion\b|thousand\b|dozen\b))?"
)
_SCALES = {
    "%": Fraction(1, 100),
    "percent": Fraction(1, 100),
    "cents": Fraction(1, 100),
    "dozen": Fraction(12),
}
"""Units with which a number may be given or meant with and without its factor."""
_MAGNITUDES = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9}
_SHORT_UNITS = frozenset(
    [
        "m",
        "g",
        "l",
        "s",
        "h",
        "cm",
        "mm",
        "km",
        "kg",
        "mg",
        "ml",
        "ft",
        "in",
        "yd",
        "lb",
        "oz",
        "hr",
        "am",
        "pm",
        "mi",
        "of",
        "per",
        "a",
        "an",
        "to",
        "by",
    ]
)
_HEDGES = frozenset(
    ["or", "not", "than", "least", "most", "between", "negative", "minus", "times", "plus", "and", "over"]
)
_CUE = re.compile(r".*\b(?:answer|result|total)\s*(?:is|:|=)\s*(.+)", re.S | re.I)


@dataclass(frozen=True, slots=True)
class Reading:
    """A number as written, the factor of an optional unit (`%`: 1/100), and its notation."""

    value: Fraction
    scale: Fraction | None
    kind: str
    """`integer`, `decimal`, `fraction`, `percent` or `scaled`."""
    point: bool
    """Written with a decimal point, so it may be rounded."""


def read_number(text: str) -> Reading | None:
    r"""The number that the whole text is, with an optional currency sign and unit. None for anything else.

    >>> read_number("$1,234.50").value, read_number("1 1/2 hours").value, read_number("2 pi")
    (Fraction(2469, 2), Fraction(3, 2), None)
    """
    match = _NUMBER.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None or not _is_unit(match["unit"] or ""):
        return None
    value, kind = _value(match)
    if value is None or (match["sign"] and match["sign2"]):
        return None
    sign, unit = -1 if "-" in (match["sign"], match["sign2"]) else 1, next(iter(_unit_words(match["unit"] or "")), "")
    scale = _SCALES.get(unit)
    if scale is not None:
        kind = "percent" if scale == _SCALES["%"] else "scaled"
    return Reading(sign * value * _MAGNITUDES.get(unit, 1), scale, kind, "." in (match["num"] or ""))


def same_number(gold: Reading, said: Reading) -> bool:
    """Equality of two readings.

    If only one side has such a unit, both of its readings count (50 % is 50 and 0.5). A decimal matches a fraction
    without finite decimal, such as 1/3, to a millionth of the fraction. Everything else is exact.
    """
    if gold.scale is not None and said.scale is not None:
        return gold.value * gold.scale == said.value * said.scale
    return any(_equal(g, gold.point, s, said.point) for g in readings(gold) for s in readings(said))


def only_number(prose: str) -> Reading | None:
    """The one number in a sentence, or the one after `answer is`. None if there are none, several, or a hedge such as
    `or`."""
    cue = _CUE.fullmatch(prose)
    if cue and (named := read_number(cue[1].strip())):
        return named
    said = {r.value * (r.scale or 1): r for token in _TOKEN.findall(prose) if (r := read_number(token.strip()))}
    if len(said) != 1 or _HEDGES & set(re.findall(r"[a-z]+", prose.lower())):
        return None
    return next(iter(said.values()))


def said_number(answer: str) -> Reading | None:
    """The number that an answer gives: the whole text, the last side of an equation, or the only number of a
    sentence."""
    said = read_number(answer) or read_number(last_side(answer))
    return only_number(answer) if said is None and words(answer) else said


def last_side(text: str) -> str:
    """The text after the last equals sign of one equation or chain (`x = 3`, `9 * 2 = 18`). For a list of several
    equations, the text itself."""
    return text if ", " in text or ";" in text or words(text) else re.split(r"=|\\approx|≈", text)[-1].strip()


def _value(match: re.Match[str]) -> tuple[Fraction | None, str]:
    whole = Fraction(match["whole"] or 0)
    for top, bottom in (("mn", "md"), ("mn2", "md2"), ("fn", "fd"), ("sn", "sd"), ("n", "d")):
        if match[top] is not None:
            below = _fraction(match[bottom])
            return (whole + _fraction(match[top]) / below if below else None), "fraction"
    value = _fraction(match["num"]) * Fraction(10) ** int(match["exp"] or 0)
    return value, "decimal" if "." in match["num"] else "integer"


def _fraction(text: str) -> Fraction:
    return Fraction(text.replace(",", ""))


def readings(reading: Reading) -> tuple[Fraction, ...]:
    """The values that a reading may mean: 50 and 1/2 for `50 %`."""
    return (reading.value,) if reading.scale is None else (reading.value, reading.value * reading.scale)


def _equal(gold: Fraction, gold_point: bool, said: Fraction, said_point: bool) -> bool:
    if gold == said:
        return True
    rounded = (gold_point and not _ends(said)) or (said_point and not _ends(gold))
    return rounded and abs(gold - said) <= abs(gold) / 10**6


def _ends(value: Fraction) -> bool:
    """Whether the decimal expansion is finite: the denominator has no prime factors except 2 and 5."""
    below = value.denominator
    return pow(10, below.bit_length(), below) == 0


def _unit_words(unit: str) -> list[str]:
    return ["%"] if unit == "%" else [w.lower() for w in re.findall(r"[A-Za-z]+", unit)]


def _is_unit(unit: str) -> bool:
    """Whether the text after a number is a unit and not part of a formula or a second statement."""
    return all(
        w == "%" or (w not in _HEDGES and w not in MATH_WORDS and (len(w) > 2 or w in _SHORT_UNITS))
        for w in _unit_words(unit)
    )
