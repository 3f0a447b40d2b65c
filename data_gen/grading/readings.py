"""What an answer says, if all of its text can be read: an amount, a formula, a date, a time, a ratio."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from data_gen.grading.amounts import Amount, read_amount
from data_gen.grading.characters import with_commands
from data_gen.grading.clean import after_lead_in, opened
from data_gen.grading.moments import Form, in_base, out_of, read_forms
from data_gen.grading.relations import said_of
from data_gen.grading.structures import read_formula
from data_gen.grading.terms import Term, name, number
from data_gen.grading.vocabulary import BLOCKING, GENERIC

_LONGEST = 1000
"""Longest text that is read. A longer one is compared as text."""
_SPOKEN = (
    (re.compile(r"(\w+) choose (\w+)", re.I), r"C(\1, \2)"),
    (re.compile(r"(?<=\d)\s*x\s*(?=10\s*\^)", re.I), "*"),
    (re.compile(r"\bdivided by\b", re.I), "/"),
    (re.compile(r"\b(?:multiplied by|times)\b", re.I), "*"),
    (re.compile(r"\bplus\b", re.I), "+"),
    (re.compile(r"\bminus\b", re.I), "-"),
    (re.compile(r"\bsquared\b", re.I), "^2"),
    (re.compile(r"\bcubed\b", re.I), "^3"),
    (re.compile(r"\bto the power (?:of\s+)?", re.I), "^"),
    (re.compile(r"\bthe square root of\b|\bsquare root of\b", re.I), "sqrt "),
    (re.compile(r"\bover\b", re.I), "/"),
)
_APPROXIMATE = re.compile(
    r"(?:\\approx|\\sim|=|(?:about|approximately|approx\.?|around|roughly|exactly|only|just|a total of|equals?)\b)"
    r"\s*(?=\S)",
    re.I,
)
_INNER_MATH = re.compile(r"\$([^$]*[^$\s])\$(?!\d)")
_PADDED = re.compile(r"-?0\d+")
_ALL_REALS = re.compile(r"(?:the set of )?all real numbers|all reals|(?:the )?real numbers", re.I)
_NAME = re.compile(r"(?:[A-Za-z](?:_\{?\w+\}?)?|\\[a-z]+|[a-zA-Z]\([a-z]\))")
_VERB = re.compile(
    r"(?<=\s)(?:is|are|was|were|be|equals|has|have|had|makes?|made|needs?|takes?|took|gets?|got|earns?|earned|costs?"
    r"|spends?|spent|pays?|paid|sells?|sold|gives?|gave|weighs?|contains?|requires?|becomes?|totals|comes to|runs?|ran"
    r"|reads?|eats?|ate|uses?|used|bought|buys?|collects?|collected|bakes?|baked|saves?|saved|receives?|received|owes?"
    r"|walks?|walked|drives?|drove)(?=\s)",
    re.I,
)
_SUBJECT = re.compile(r"[A-Za-z][A-Za-z' -]*")


class Reading(NamedTuple):
    """One thing that a text may say."""

    value: Amount | Form
    label: str | None = None
    """What it is said of: a variable or the subject of a sentence. None for `the answer` and the like."""


@lru_cache(maxsize=4096)
def read(text: str) -> tuple[Reading, ...]:
    """Everything that the whole text may say. Empty if any of it was not understood.

    >>> [len(read(text)) for text in ("18", "2 to 3", "profit of 20", "3:30 pm", "x = 3")]
    [1, 2, 0, 1, 1]
    """
    if len(text) > _LONGEST * 4:
        return ()
    inside, math = opened(with_commands(text))
    inside = _without_dollars(inside)
    if not inside or len(inside) > _LONGEST:
        return ()
    return (
        tuple(_readings(inside, math))
        or tuple(_readings(*_after_phrases(inside, math)))
        or tuple(_stated(inside, math))
    )


def _without_dollars(text: str) -> str:
    """Without the dollar signs of formulas inside (`$2$ or $-2$`), if all of them are such signs and no currency."""
    if text.count("$") < 2:
        return text
    bare = _INNER_MATH.sub(r"\1", text)
    return text if "$" in bare else bare


def _readings(text: str, math: bool) -> Iterator[Reading]:
    forms = list(read_forms(text))
    if forms:
        yield from map(Reading, forms)
        return
    amount = _amount(text, math)
    if amount is not None:
        yield _labelled(amount)


def _amount(text: str, math: bool) -> Amount | None:
    share = out_of(text)
    if share is not None:
        return Amount(number(share))
    based = in_base(text)
    if based is not None:
        return Amount(number(based))
    if _ALL_REALS.fullmatch(text):
        return Amount(name("\\mathbb{R}"))
    if _PADDED.fullmatch(text):
        return Amount(number(int(text)))
    amount = read_amount(text, math=math)
    if amount is not None:
        return amount
    term = read_formula(text, joined=math) or _spoken(text)
    return Amount(term) if term is not None else None


def _spoken(text: str) -> Term | None:
    """A formula with its operators in words, or with the letter x before a power of ten."""
    said = text
    for pattern, sign in _SPOKEN:
        said = pattern.sub(sign, said)
    return read_formula(said) if said != text and re.search(r"\d", said) else None


def _labelled(amount: Amount) -> Reading:
    """`x = 3` as 3, said of x."""
    value, label = said_of(amount.value)
    return Reading(amount._replace(value=value), label)


def _after_phrases(text: str, math: bool) -> tuple[str, bool]:
    """The text behind `The answer is`, `about` and the like."""
    inside, again = opened(after_lead_in(text))
    while (match := _APPROXIMATE.match(inside)) is not None:
        inside, again = opened(inside[match.end() :])
    return inside, math or again


def _stated(text: str, math: bool) -> Iterator[Reading]:
    """What a sentence or an equation says of its subject: `x = 5 cm`, `she makes $18 every day`, `two: 2`."""
    text, math = _after_phrases(text, math)
    for match in list(re.finditer(r"\s*[=:]\s*", text))[-1:] + list(_VERB.finditer(text))[:3]:
        subject, rest = text[: match.start()], text[match.end() :].strip()
        label = _label(subject)
        if label is None:
            continue
        found = list(_readings(*_after_phrases(rest, math)))
        if found and not any(one.label for one in found):
            yield from (one._replace(label=label or None) for one in found)
            return


def _label(subject: str) -> str | None:
    """The subject in lower case, empty if it says nothing of its own. None if it is no subject."""
    subject = subject.strip().strip("*$ ")
    if _NAME.fullmatch(subject):
        return subject
    if read_formula(subject) is not None and re.search(r"\d", subject):
        return ""
    words = subject.lower().split()
    if (
        not _SUBJECT.fullmatch(subject)
        or len(words) > 10
        or BLOCKING & set(words)
        or any("n't" in word for word in words)
    ):
        return None
    return " ".join(word for word in words if word not in GENERIC)
