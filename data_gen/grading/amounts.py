"""Reads amounts: a number with an optional currency sign, unit, counted thing or percent sign, and sums of them."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from data_gen.grading import nouns
from data_gen.grading.nouns import NOTHING, Noun
from data_gen.grading.number_words import leading_number
from data_gen.grading.structures import read_formula
from data_gen.grading.terms import COMPOSED, Term, exact, negative, number
from data_gen.grading.units import GLUED, MeasureUnit, read_unit, simple_unit

_LONGEST = 400
_SIGN = re.compile(r"\s*(?:([-+])|(minus|negative|plus)\b)\s*", re.I)
_CURRENCY = re.compile(r"\s*(US\$|USD|EUR|GBP|[$€£¥₹])\s*")
_UNIT_WORD = re.compile(r"\s*([A-Za-z]+)\.?\s*(?:,?\s*\band\b|,)?\s*")
_FEET = re.compile(r"(\d+)\s*'\s*(\d+(?:\.\d+)?)\s*(?:\"|'')")
_TAIL = re.compile(r"(?<=[\d)}\]!])\s*(?=[A-Za-z])|(?<=[\d)}\]!A-Za-z])\s+(?=[A-Za-z])")
_VARIABLES = re.compile(r"\s*[A-Za-z](?:\s+[A-Za-z])*\s*")
_PART_OF = re.compile(r"^(?:of\s+)?(?:an?|the)\s+")
"""As in half an hour, and half of the cake."""
_DEGREES = re.compile(r".*\b(?:sin|cos|tan|cot|sec|csc)\b.*\bdegrees?\s*", re.S)
MONEY_LETTERS = {"k": 10**3, "K": 10**3, "M": 10**6, "mn": 10**6, "B": 10**9, "bn": 10**9}
"""Letters behind an amount of money; elsewhere they are variables."""
_TIME = (("time", 1),)


class Amount(NamedTuple):
    """A quantity as written."""

    value: Term
    unit: MeasureUnit | None = None
    noun: Noun = NOTHING
    compound: bool = False
    """A sum of several units, as 2 hours 30 minutes, which is no number without them."""


def read_amount(text: str, *, math: bool = False) -> Amount | None:
    """The amount that the whole text is, or None. A formula by itself is none.

    Args:
        text: What `clean.plain` leaves of an answer.
        math: It stood between dollar signs, where single letters are variables.

    >>> read_amount("$1,234.50").value.args, read_amount("2 hours 30 minutes").value.args, read_amount("20 less")
    ((Fraction(2469, 2), True), (Fraction(9000, 1), False), None)
    """
    if len(text) > _LONGEST:
        return None
    feet = _FEET.fullmatch(text)
    if feet:
        size = Fraction(feet[1]) * Fraction("0.3048") + Fraction(feet[2]) * Fraction("0.0254")
        return Amount(number(size), simple_unit("m"), compound=True)
    return _single(text, math) or _compound(text)


def _single(text: str, math: bool) -> Amount | None:
    sign, money, rest = _front(text)
    said = leading_number(rest)
    tail = rest[said.end :] if said is not None else ""
    if said is not None and not (math and _VARIABLES.fullmatch(tail)):
        found = _with_tail(number(said.value, said.point), tail, money, glued=not tail[:1].isspace())
        if found is not None:
            return found._replace(value=negative(found.value)) if sign < 0 else found
    if money is not None:
        value = read_formula(rest)
        whole = value is not None and value.op not in COMPOSED and not (sign < 0 and value.op == "add")
        return Amount(negative(value) if sign < 0 else value, money) if whole and value else None
    return _formula_with_tail(text, math)


def _formula_with_tail(text: str, math: bool) -> Amount | None:
    """A formula before a unit or a thing: `2\\sqrt{3} cm`."""
    if _DEGREES.fullmatch(text):
        return None
    for match in list(_TAIL.finditer(text))[:8]:
        tail = text[match.start() :]
        if math and _VARIABLES.fullmatch(tail):
            continue
        value = read_formula(text[: match.start()], joined=math)
        if value is not None and value.op not in COMPOSED:
            found = _with_tail(value, tail, None, glued=match[0] == "")
            if found is not None:
                return found
    return None


def _front(text: str) -> tuple[int, MeasureUnit | None, str]:
    """Sign, currency and the rest: `-$5`, `$-5`, `minus five dollars`. Two signs are left for the rest to refuse."""
    sign, money, at = 1, None, 0
    signed = _SIGN.match(text)
    if signed:
        sign, at = (-1 if (signed[1] or signed[2].lower()) in ("-", "minus", "negative") else 1), signed.end()
    currency = _CURRENCY.match(text, at)
    if currency:
        money, at = simple_unit(currency[1].replace("US$", "$")), currency.end()
        again = None if signed else _SIGN.match(text, at)
        if again and again[1]:
            sign, at = (-1 if again[1] == "-" else 1), again.end()
    return sign, money, text[at:]


def _with_tail(value: Term, tail: str, money: MeasureUnit | None, *, glued: bool) -> Amount | None:
    """The amount if everything behind the number is a unit, a thing, or says nothing about the value."""
    tail = tail.strip()
    hyphen = tail.startswith("-")
    if hyphen and re.match(r"-[A-Za-z]{2,}", tail) is None:
        return None
    tail = tail.removeprefix("-").strip()
    if not tail:
        return None if hyphen else Amount(value, money)
    if money is not None and tail in MONEY_LETTERS:
        known = exact(value)
        return None if known is None else Amount(number(known * MONEY_LETTERS[tail], value.args[1]), money)
    if glued and not hyphen and tail[0].isalpha() and tail not in GLUED and not re.match(r"[A-Za-z]{2,}", tail):
        return None
    unit = read_unit(tail)
    if unit is not None:
        return _in_money(value, money, unit)
    tail = nouns.without_neutral_end(_PART_OF.sub("", tail) if _at_most_one(value) else tail)
    if not tail:
        return Amount(value, money)
    unit = read_unit(tail)
    if unit is not None:
        return _in_money(value, money, unit)
    tail, per = nouns.rate(tail)
    tail = nouns.without_neutral_end(tail)
    if not tail:
        return Amount(value, money, Noun((), per))
    unit = read_unit(tail)
    if unit is not None:
        found = _in_money(value, money, unit)
        return found and found._replace(noun=Noun((), per))
    return _of_things(value, tail, money, per)


def _of_things(value: Term, tail: str, money: MeasureUnit | None, per: str) -> Amount | None:
    if money is not None:
        return None
    of = nouns.of_phrase(tail)
    if of is not None:
        unit = read_unit(of[0])
        if unit is not None:
            return Amount(value, unit, Noun(of[1], per))
    words = nouns.noun_words(of[0] if of else tail, plural=not _at_most_one(value))
    if words is None and of is None and " " in tail:
        first, _, rest = tail.partition(" ")
        unit, words = read_unit(first), nouns.noun_words(rest, plural=False)
        return Amount(value, unit, Noun(words, per)) if unit is not None and words and first == "%" else None
    if words is None:
        return None
    return Amount(value, None, Noun((*words, *of[1]) if of else words, per))


def _at_most_one(value: Term) -> bool:
    known = exact(value)
    return known is not None and abs(known) <= 1


def _in_money(value: Term, money: MeasureUnit | None, unit: MeasureUnit) -> Amount | None:
    """`$5 dollars` and `$5/hour`. A currency before and another unit behind contradict each other."""
    if money is None:
        return Amount(value, unit)
    if unit == money:
        return Amount(value, money)
    return None


def _compound(text: str) -> Amount | None:
    """The sum of amounts in falling units of one measure: `2 hours 30 minutes`, `2 dollars and 50 cents`."""
    total, size, measures, at = Fraction(0), None, None, 0
    while at < len(text):
        said = leading_number(text[at:])
        word = _UNIT_WORD.match(text, at + said.end) if said else None
        form = word[1] if word else ""
        unit = simple_unit("min" if form == "m" and measures == _TIME else form)
        if said is None or word is None or unit is None or (said.value != int(said.value) and word.end() < len(text)):
            return None
        if measures not in (None, unit.measures) or (size is not None and unit.factor >= size):
            return None
        total, size, measures, at = total + said.value * unit.factor, unit.factor, unit.measures, word.end()
    one = measures and MeasureUnit(Fraction(1), measures)
    return Amount(number(total), one, compound=True) if one else None
