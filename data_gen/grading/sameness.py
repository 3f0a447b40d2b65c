"""Whether two readings are the same: by exact arithmetic here, by what a judge of formulas says otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any

from data_gen.grading.amounts import Amount
from data_gen.grading.nouns import NOTHING
from data_gen.grading.readings import Reading
from data_gen.grading.relations import REALS, rising
from data_gen.grading.terms import COLLECTIONS, Term, contains, exact, name, number

Judge = Callable[[Term, Term], bool | None]
"""Whether two formulas without an exact value are equal. None: not known here."""
_SCALES = {"percent": Fraction(1, 100), "dozen": Fraction(12)}
"""Units that a number has or lacks, with and without their factor: 50 % is 50 and 1/2."""
_DEGREES, _RADIANS = (("angle", 1),), (("radian", 1),)
_CLOSENESS = 10**6
"""A decimal stands for a number without a finite decimal within this share of it."""


def same(golds: Sequence[Reading], answers: Sequence[Reading], judge: Judge) -> bool | None:
    """Whether anything that one text may say is what the other may say."""
    return _any(_same_reading(gold, answer, judge) for gold in golds for answer in answers)


def unknown(one: Term, other: Term) -> bool | None:
    """A judge that knows only identical terms."""
    return True if one == other else None


def _same_reading(one: Reading, other: Reading, judge: Judge) -> bool | None:
    if one.label and other.label and one.label != other.label:
        return False
    mine, theirs = one.value, other.value
    if isinstance(mine, Amount) and isinstance(theirs, Amount):
        return _same_amount(_beside(mine, one.label, theirs), _beside(theirs, other.label, mine), judge)
    if isinstance(mine, Amount):
        return _form_is_amount(theirs, mine)
    if isinstance(theirs, Amount):
        return _form_is_amount(mine, theirs)
    return _same_form(mine, theirs)


def _beside(amount: Amount, label: str | None, other: Amount) -> Amount:
    """y = 2x + 1 as an equation beside another one."""
    if label is None or other.value.op != "rel" or amount.value.op in COLLECTIONS:
        return amount
    return amount._replace(value=Term("rel", (name(label), "=", amount.value)))


def _same_form(mine: Any, theirs: Any) -> bool:
    (kind, parts), (other_kind, other_parts) = mine, theirs
    if kind != other_kind:
        return False
    if kind != "clock":
        return bool(parts == other_parts)
    marks = {parts[3], other_parts[3]}
    hours = (parts[0] - other_parts[0]) % (12 if marks == {"open", "half"} else 24)
    return hours == 0 and parts[1:3] == other_parts[1:3]


def _form_is_amount(form: Any, amount: Amount) -> bool:
    """A ratio of two is its quotient; 7 pm is 7."""
    kind, parts = form
    value = exact(amount.value)
    if value is None or amount.unit is not None or amount.noun != NOTHING:
        return False
    if kind == "ratio" and len(parts) == 2 and parts[1] != "0":
        return value == Fraction(int(parts[0]), int(parts[1]))
    return kind == "clock" and parts[1:] == (0, 0, "half") and value == (parts[0] % 12 or 12)


def alternatives(golds: Sequence[Reading], answers: Sequence[Reading]) -> Iterator[tuple[Term, Term]]:
    """Pairs of values in one unit, of the readings that do not contradict each other. 50 % is 50 and 1/2."""
    for gold in golds:
        for answer in answers:
            labels = {gold.label, answer.label} - {None}
            if len(labels) < 2 and isinstance(gold.value, Amount) and isinstance(answer.value, Amount):
                yield from _in_one_unit(gold.value, answer.value)


def _same_amount(mine: Amount, theirs: Amount, judge: Judge) -> bool | None:
    return _any(_same_value(one, other, judge) for one, other in _in_one_unit(mine, theirs))


def _in_one_unit(mine: Amount, theirs: Amount) -> Iterator[tuple[Term, Term]]:
    """Both values as often as they can be compared: not at all where units or things contradict each other."""
    if mine.noun.contradicts(theirs.noun):
        return
    mine, theirs = _in_radians(mine, theirs), _in_radians(theirs, mine)
    if mine.unit is not None and theirs.unit is not None:
        if mine.unit.measures == theirs.unit.measures:
            yield _times(mine.value, mine.unit.factor), _times(theirs.value, theirs.unit.factor)
        return
    one, other = _without_unit(mine, theirs), _without_unit(theirs, mine)
    yield from ((mine_value, their_value) for mine_value in one for their_value in other)


def _in_radians(amount: Amount, beside: Amount) -> Amount:
    """Degrees in radians beside radians, and beside a multiple of pi that has no unit. Other amounts as they are."""
    if amount.unit is None or amount.unit.measures != _DEGREES:
        return amount
    radians = beside.unit.measures == _RADIANS if beside.unit else contains(beside.value, name("pi"))
    if not radians:
        return amount
    half_turns = _times(amount.value, amount.unit.factor / 180)
    return amount._replace(value=Term("mul", (half_turns, name("pi"))), unit=beside.unit)


def _without_unit(amount: Amount, beside: Amount) -> list[Term]:
    """What a value may mean beside one that has no unit, or the value itself if it has none."""
    if amount.unit is None:
        return [amount.value]
    if amount.compound or beside.noun.words:
        return []
    (measure, _), *others = amount.unit.measures
    scale = None if others else _SCALES.get(measure)
    return [amount.value, _times(amount.value, scale)] if scale else [amount.value]


def _times(value: Term, factor: Fraction) -> Term:
    if factor == 1:
        return value
    if value.op == "num":
        return number(value.args[0] * factor, value.args[1])
    return Term("mul", (number(factor), value))


def _same_value(mine: Term, theirs: Term, judge: Judge) -> bool | None:
    """Terms by their structure, down to scalars."""
    mine, theirs = _standard(mine), _standard(theirs)
    if mine == theirs:
        return True
    kinds = mine.op, theirs.op
    if set(kinds) <= {"set", "list"}:
        return _same_elements(mine, theirs, judge)
    if kinds == ("interval", "interval"):
        ends = mine.args[0] == theirs.args[0] and mine.args[3] == theirs.args[3]
        return (
            _all(_same_value(a, b, judge) for a, b in zip(mine.args[1:3], theirs.args[1:3], strict=True))
            if ends
            else False
        )
    if kinds == ("union", "union"):
        return _same_elements(mine, theirs, judge)
    if kinds in (("tuple", "tuple"), ("matrix", "matrix")):
        equal = len(mine.args) == len(theirs.args)
        return _all(_same_value(a, b, judge) for a, b in zip(mine.args, theirs.args, strict=True)) if equal else False
    if kinds == ("rel", "rel"):
        return _same_relation(mine, theirs, judge)
    if "rel" in kinds:
        return False
    if COLLECTIONS & set(kinds):
        return False
    return _same_scalar(mine, theirs, judge)


def _same_scalar(mine: Term, theirs: Term, judge: Judge) -> bool | None:
    one, other = exact(mine), exact(theirs)
    if one is None or other is None:
        return judge(mine, theirs)
    if one == other:
        return True
    rounded = (_written_decimal(mine) and not _ends(other)) or (_written_decimal(theirs) and not _ends(one))
    return rounded and abs(one - other) * _CLOSENESS <= max(abs(one), abs(other))


def _written_decimal(term: Term) -> bool:
    return term.op == "num" and term.args[1]


def _ends(value: Fraction) -> bool:
    """Whether the decimal expansion is finite: the denominator has no prime factors except 2 and 5."""
    below = value.denominator
    return pow(10, below.bit_length(), below) == 0


def _same_elements(mine: Term, theirs: Term, judge: Judge) -> bool | None:
    """Elements in any order, those of a set once."""
    one, other = (_distinct(term.args, judge) if term.op == "set" else list(term.args) for term in (mine, theirs))
    if one is None or other is None:
        return None
    if len(one) != len(other):
        return False
    open_question = False
    for element in one:
        for i, candidate in enumerate(other):
            answer = _same_value(element, candidate, judge)
            open_question |= answer is None
            if answer:
                del other[i]
                break
        else:
            return None if open_question else False
    return True


def _distinct(elements: Iterable[Term], judge: Judge) -> list[Term] | None:
    kept: list[Term] = []
    for element in elements:
        repeated = _any(_same_value(element, known, judge) for known in kept)
        if repeated is None:
            return None
        if not repeated:
            kept.append(element)
    return kept


def _same_relation(mine: Term, theirs: Term, judge: Judge) -> bool | None:
    """Equations and inequalities that differ by a factor; longer chains part by part."""
    mine, theirs = rising(mine), rising(theirs)
    if mine.args[1::2] != theirs.args[1::2]:
        return False
    parts = _all(_same_value(a, b, judge) for a, b in zip(mine.args[::2], theirs.args[::2], strict=True))
    if parts or len(mine.args) > 3 or mine.args[1] == "\\in":
        return parts
    return judge(Term("rel", mine.args), Term("rel", theirs.args))


def _standard(term: Term) -> Term:
    """Names of sets as the sets."""
    if term == name("\\mathbb{R}"):
        return REALS
    return Term("set", ()) if term == name("emptyset") else term


def _any(answers: Iterable[bool | None]) -> bool | None:
    """Three-valued or."""
    found: bool | None = False
    for answer in answers:
        if answer:
            return True
        found = None if answer is None else found
    return found


def _all(answers: Iterable[bool | None]) -> bool | None:
    """Three-valued and."""
    found: bool | None = True
    for answer in answers:
        if answer is False:
            return False
        found = None if answer is None else found
    return found
