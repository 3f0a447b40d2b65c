"""Decides which texts are formulas: texts in which math-verify would neither skip anything nor multiply adjacent
parts."""

from __future__ import annotations

import re

from data_gen.grading.clean import MATH_WORDS, after_lead_in, words

_JOINING = frozenset({"and", "or", "infinity", "infty", "oo"})
_COMMAND = re.compile(r"\\[A-Za-z]+")
_CODE = re.compile(r"[A-Za-z]\d")
"""a1b2: a name, not a * 1 * b * 2."""
_LIST = re.compile(r"\d\s+\d")
"""1 2 3: not their product."""
_PASSED_OVER = re.compile(r"\\(?:overline|underline|dot|langle|rangle|ldots|dots|cdots|hline)\b|\.\.\.|…")
_DATE_OR_RANGE = re.compile(r"\d+(?:[-/.]\d+){2}|\d+-\d+|\d{1,2}:\d\d(?::\d\d)?")
_UNIT = re.compile(r"(?<=[\d})\]!])\s+(?:[A-Za-z]{2,}(?:\^\{?[23]\}?|[²³])?\s*){1,3}$")


def formula(text: str) -> str | None:
    """The formula that the whole text is, after a lead-in and before a unit. None for words, dates, times, ranges,
    codes and everything else that would be read only in part.

    Args:
        text: What `plain` leaves of an answer.

    >>> formula("The answer is 2\\\\sqrt{3} square units"), formula("a1b2"), formula("June 5"), formula("3-5")
    ('2\\\\sqrt{3}', None, None, None)
    """
    text = after_lead_in(text).strip()
    if (unit := _UNIT.search(text)) and not set(re.findall(r"[a-z]{2,}", unit[0].lower())) & (MATH_WORDS | _JOINING):
        text = text[: unit.start()]
    if set(words(text)) - _JOINING or _DATE_OR_RANGE.fullmatch(text):
        return None
    bare = _COMMAND.sub(" ; ", text)
    return None if _CODE.search(bare) or _LIST.search(bare) or _PASSED_OVER.search(text) else text
