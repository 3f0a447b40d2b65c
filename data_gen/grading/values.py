"""Compares what two texts say: exactly where that is possible, else by the checker process."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from fractions import Fraction

from data_gen.grading import checker
from data_gen.grading.amounts import Amount
from data_gen.grading.clean import folded
from data_gen.grading.readings import Reading, read
from data_gen.grading.sameness import alternatives, same, unknown
from data_gen.grading.terms import COMPOSED, Term, exact
from data_gen.records.verdict import Grade, Verdict

__all__ = ["canonical", "compare", "evaluates", "is_number", "is_numeral", "kind", "pairs", "read"]


def compare(gold: str, answer: str) -> Grade:
    """The verdict on two texts of which both can be read. The reason is the kind of gold's value, or what became of the
    checker."""
    golds, answers = read(gold), read(answer)
    verdict = same(golds, answers, unknown)
    if verdict is None:
        graded = checker.compare(gold, answer)
        if graded.reason != "formula":
            return graded
        verdict = graded.verdict is Verdict.CORRECT
    several = not verdict and is_number(golds) and not is_number(answers) and isinstance(answers[0].value, Amount)
    ambiguous = several and answers[0].value.value.op in ("list", "union")  # type: ignore[union-attr]
    return Grade(Verdict.CORRECT if verdict else Verdict.WRONG, "ambiguous" if ambiguous else kind(golds))


def evaluates(gold: str) -> bool:
    """Whether the value of a text that can be read is within what the checker computes."""
    amounts = [one.value for one in read(gold) if isinstance(one.value, Amount)]
    return not amounts or all(_is_exact(amount.value) for amount in amounts) or checker.reads(gold)


def pairs(gold: str, answer: str) -> Iterator[tuple[Fraction, Fraction]]:
    """The pairs of numbers that two texts may mean, in one unit: both of 50 % and 1/2 for `50%`."""
    for mine, theirs in alternatives(read(gold), read(answer)):
        wanted, said = exact(mine), exact(theirs)
        if wanted is not None and said is not None:
            yield wanted, said


def canonical(text: str) -> Hashable:
    """A key of what a text says. Texts with equal keys say the same. Some with different keys do, too (`50 %` and
    `0.5`, `2\\sqrt{2}` and `\\sqrt{8}`): only a grader knows.

    >>> canonical("1000 m") == canonical("1 km"), canonical("1/2") == canonical("0.5"), canonical("5") == canonical("6")
    (True, True, False)
    """
    readings = read(text)
    if len(readings) != 1:
        return ("readings", frozenset(readings)) if readings else ("text", folded(text))
    value, label = readings[0]
    if not isinstance(value, Amount):
        return "form", value, label
    amount = exact(value.value)
    if amount is None:
        return "formula", value, label
    if value.unit is not None:
        return "amount", amount * value.unit.factor, value.unit.measures, value.noun, value.compound, label
    return "amount", amount, value.noun, label


def is_number(readings: Sequence[Reading]) -> bool:
    """Whether a text is one number, with or without a unit."""
    return len(readings) == 1 and isinstance(readings[0].value, Amount) and exact(readings[0].value.value) is not None


def is_numeral(readings: Sequence[Reading]) -> bool:
    """As `is_number`, and nothing has to be computed: not `3 + 4`."""
    return is_number(readings) and isinstance(readings[0].value, Amount) and readings[0].value.value.op == "num"


def kind(readings: Sequence[Reading]) -> str:
    """A word for what was read."""
    value = readings[0].value
    if not isinstance(value, Amount):
        return value[0]
    if value.compound:
        return "scaled"
    if value.unit is not None and value.unit.measures[0][0] in ("percent", "dozen"):
        return "percent" if value.unit.measures[0][0] == "percent" else "scaled"
    number = exact(value.value)
    if number is None:
        return "formula"
    written = value.value.op == "num" and value.value.args[1]
    return "decimal" if written else "integer" if number.denominator == 1 else "fraction"


def _is_exact(term: Term) -> bool:
    if term.op in COMPOSED:
        return all(_is_exact(arg) for arg in term.args if isinstance(arg, Term))
    return exact(term) is not None or term.args == ("infinity",)
