"""Terms: what a formula says once all of it was read, and its exact value if that is a rational number."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, NamedTuple

_MOST_BITS = 40_000
"""Longest exact power. A longer one is left to floating point, which bounds its own work."""
_LARGEST_FACTORIAL = 1000
COLLECTIONS = frozenset(["set", "list", "tuple", "interval", "union", "matrix"])
"""Terms that hold elements."""
COMPOSED = COLLECTIONS | {"rel"}
"""Terms that are no single quantity: their parts have values, they have none."""


class Term(NamedTuple):
    """One node of a formula. `args` are terms, except for the leaves `num` and `name`.

    | op | args |
    |---|---|
    | `num` | its value as a Fraction, and whether it was written with a decimal point |
    | `name` | a variable, a constant (`pi`, `e`, `i`, `infinity`) or an opaque application such as `f(x)` |
    | `add`, `mul` | two or more terms |
    | `pow` | base, exponent |
    | `call` | the name of a function, then its arguments |
    | `set`, `list`, `tuple`, `interval`, `union`, `matrix` | elements; an interval: bracket, two ends, bracket |
    | `rel` | term, sign, term, sign, ..., term |
    """

    op: str
    args: tuple[Any, ...]


def number(value: int | Fraction, point: bool = False) -> Term:
    """A numeral."""
    return Term("num", (Fraction(value), point))


def name(text: str) -> Term:
    """A variable or a constant."""
    return Term("name", (text,))


def negative(term: Term) -> Term:
    """Minus a term; a numeral stays a numeral."""
    return Term("num", (-term.args[0], term.args[1])) if term.op == "num" else Term("mul", (number(-1), term))


def quotient(top: Term, bottom: Term) -> Term:
    """One term over another."""
    return Term("mul", (top, Term("pow", (bottom, number(-1)))))


def contains(term: Term, part: Term) -> bool:
    """Whether a term is another one or holds it at any depth."""
    return term == part or any(contains(arg, part) for arg in term.args if isinstance(arg, Term))


def exact(term: Term) -> Fraction | None:
    """The value if rational arithmetic alone gives it. None for irrational, symbolic and very large ones, and for a
    division by zero."""
    if term.op == "num":
        return term.args[0]
    if term.op == "add" or term.op == "mul":
        total = Fraction(term.op == "mul")
        for arg in term.args:
            value = exact(arg)
            if value is None:
                return None
            total = total * value if term.op == "mul" else total + value
            if _bits(total) > _MOST_BITS:
                return None
        return total
    if term.op == "pow":
        base, power = exact(term.args[0]), exact(term.args[1])
        return None if base is None or power is None else _power(base, power)
    if term.op == "call":
        args = [exact(arg) for arg in term.args[1:]]
        return _call(term.args[0], [arg for arg in args if arg is not None]) if None not in args else None
    return None


def _power(base: Fraction, power: Fraction) -> Fraction | None:
    if power.denominator != 1:
        root = _root(base, power.denominator) if power.denominator <= 64 else None
        return None if root is None else _power(root, Fraction(power.numerator))
    if (base == 0 and power <= 0) or abs(power.numerator) * _bits(base) > _MOST_BITS:
        return None
    return base**power.numerator


def _root(base: Fraction, degree: int) -> Fraction | None:
    """The exact root of a fraction that is not negative."""
    if base < 0 or _bits(base) > 1000:
        return None
    top, bottom = (_whole_root(part, degree) for part in (base.numerator, base.denominator))
    return None if top is None or bottom is None else Fraction(top, bottom)


def _whole_root(value: int, degree: int) -> int | None:
    low, high = 0, 1 << (value.bit_length() // degree + 1)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**degree <= value else (low, middle - 1)
    return low if low**degree == value else None


def _call(function: str, args: list[Fraction]) -> Fraction | None:
    value = args[0]
    if function == "abs":
        return abs(value)
    if function in ("floor", "ceil"):
        return Fraction(math.floor(value) if function == "floor" else math.ceil(value))
    whole = all(arg.denominator == 1 and 0 <= arg <= _LARGEST_FACTORIAL for arg in args)
    if function == "factorial":
        return Fraction(math.factorial(value.numerator)) if whole else None
    if function in ("binomial", "permutations"):
        count = math.comb if function == "binomial" else math.perm
        return Fraction(count(value.numerator, args[1].numerator)) if whole else None
    return None


def _bits(value: Fraction) -> int:
    return value.numerator.bit_length() + value.denominator.bit_length()
