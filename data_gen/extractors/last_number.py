"""`last_number`: the last number of the text."""

from __future__ import annotations

import re
from collections import deque
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import ClassVar, Literal

from data_gen.extractors import EXTRACTORS
from data_gen.extractors.base import Extractor
from data_gen.grading.amounts import MONEY_LETTERS
from data_gen.grading.characters import ascii_form
from data_gen.grading.clean import THOUSANDS
from data_gen.grading.number_words import MAGNITUDES

_MAGNITUDES = {"hundred": 10**2, **MAGNITUDES}
_NUM = r"(?:\d+(?:,\d+)*(?:\.\d+)*|(?<![\w.])\.\d+)"
_NUMBER = re.compile(
    rf"(?P<sign>(?<![\w).\]}}%])-)?(?P<money>[$\u20ac\u00a3\u00a5]\s?(?P<sign2>-)?)?(?:"
    rf"(?:(?P<whole>\d+)\s*)?\\[dt]?frac\s*(?:\{{\s*(?P<top>-?{_NUM})\s*\}}\s*\{{\s*(?P<bottom>-?{_NUM})\s*\}}"
    rf"|(?P<t>\d)\s*(?P<b>\d))"
    rf"|(?P<mixed>\d+ +\d+/\d+)(?![\d/])"
    rf"|(?P<moment>\d+(?::\d\d)+|\d{{4}}-\d\d-\d\d)(?!\d)"
    rf"|(?P<power>{_NUM}(?:[eE][+-]?\d+|\s*(?:\\times|\\cdot|[×·*])\s*10\s*\^\s*(?:\{{-?\d+\}}|-?\d+)))(?!\w)"
    rf"|(?P<joined>{_NUM}(?:\.?\\overline\s*\{{\d+\}}|\s*\^\s*(?:\{{-?[\d./]+\}}|-?\d+)|_(?:\{{\d+\}}|\d+)))"
    rf"|(?P<num>{_NUM}(?:/{_NUM})*)"
    rf")(?:\s+(?P<magnitude>{'|'.join(_MAGNITUDES)})\b|\s?(?P<letters>{'|'.join(MONEY_LETTERS)})(?!\w)"
    r"|(?P<percent>\s?\\?%(?!\w)|\s+per\s?cent\b))?",
    re.I,
)
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_MINUS = re.compile(
    r"(\b(?:is|are|was|were|be|equals|of|to|or|and|get|gives|about)\s|[:=(,*$]\s?|^)minus\s+(?=[$.\d])"
    r"|\bnegative\s+(?=[$.\d])",
    re.I | re.M,
)
"""A sign in words. Between two numbers, `minus` subtracts."""
_SCRIPT = re.compile(r"(?<=[A-Za-z)}\]])[\^_](?:\{[^{}]*\}|-?\d+(?:\.\d+)?)")
"""The exponent of a unit or a variable, and a subscript: part of what stands before it."""


@EXTRACTORS.register("last_number")
class LastNumber(Extractor):
    r"""`extract: last_number`: digits with separators, decimals, fractions (`a/b`, `\frac{a}{b}`, `1 1/2`, a half as
    one character), powers, a sign, a percent sign, and words such as million or the letter of `$3k`, which are
    multiplied in. The hyphen of a range (`3-5`) is not a sign; a time (`3:45`), a date (`2024-03-05`, `3/5/2024`), a
    version (`3.10.2`) and digits in a base (`101_2`) are one answer; exponents and subscripts of letters (`5 cm^2`,
    `x_1`) are none. Put it last: it finds an answer in any text with a number."""

    version: ClassVar[int] = 2
    uses: Literal["last_number"] = "last_number"

    def find(self, text: str, answer_mark: str) -> str | None:
        """The number without the sign of its currency."""
        found = deque(_NUMBER.finditer(_plain(text)), maxlen=1)
        return _written(found[0]) if found else None


def _plain(text: str) -> str:
    """ASCII digits, signs and fractions for their other forms, and without exponents of letters."""
    text = THOUSANDS.sub(",", ascii_form(text.replace("\u2014", " - ")))
    return _MINUS.sub(r"\1-", _SCRIPT.sub("", text))


def _written(found: re.Match[str]) -> str:
    sign = "-" if (found["sign"] is None) != (found["sign2"] is None) else ""
    top, bottom = found["top"] or found["t"], found["bottom"] or found["b"]
    if top is not None:
        number = f"{found['whole']} {top}/{bottom}" if found["whole"] else f"{top}/{bottom}"
    else:
        number = found["mixed"] or found["moment"] or found["power"] or found["joined"] or _element(found["num"])
    times = _MAGNITUDES.get((found["magnitude"] or "").lower()) or (
        found["money"] and MONEY_LETTERS.get(found["letters"])
    )
    if times and (value := _value(number)) is not None:
        number = _decimal(value * times)
    return f"{sign}{number}%" if found["percent"] else sign + number


def _element(run: str) -> str:
    """A number with its separators; the last element of a list without spaces (`2,3`)."""
    last = run.rpartition(",")[2]
    return run if "," not in run or _GROUPED.fullmatch(run) or len(re.split(r"\D", last)[0]) > 1 else last


def _value(number: str) -> Fraction | None:
    """The value of a decimal, a fraction or a mixed number. None for others, and for very long ones."""
    if len(number) > 40:
        return None
    try:
        return sum((Fraction(part) for part in number.replace(",", "").split()), Fraction(0))
    except (ValueError, ZeroDivisionError):
        return None


def _decimal(value: Fraction) -> str:
    """Digits where they end, else a fraction."""
    with localcontext(prec=60):
        digits = Decimal(value.numerator) / value.denominator
    return f"{digits:f}" if Fraction(digits) == value else str(value)
