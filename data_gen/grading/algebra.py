"""Whether two formulas are equal: their values at the same points, to 60 digits with a bound on the rounding error.

Formulas that differ do not agree at several random points, except by a chance of some 10^-50. Nothing is rewritten by
rules, so nothing can run on for ever. Where both have real values, those alone count (ln x^2 is 2 ln x).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

from mpmath import mp, mpf

from data_gen.grading.relations import CONSTANTS
from data_gen.grading.terms import COMPOSED, Term, exact, negative

_DIGITS = 60
_ROUNDING = mpf(10) ** (3 - _DIGITS)
_LEAST_KNOWN = mpf(10) ** -20
"""Largest bound on the error of a value, as a share of it or of 1. Beyond it, as at the pole of tan, there is none."""
_LARGEST_LOG = 10**5
"""Largest natural logarithm of a value. Larger ones have no verdict."""
_DECIMAL_DIGITS = mpf(10) ** -6
_POINTS = 8
_FEWEST = 2
"""Points at which both formulas must have a value."""
_FUNCTIONS = {
    "sin": mp.sin, "cos": mp.cos, "tan": mp.tan, "cot": mp.cot, "sec": mp.sec, "csc": mp.csc, "arcsin": mp.asin,
    "arccos": mp.acos, "arctan": mp.atan, "sinh": mp.sinh, "cosh": mp.cosh, "tanh": mp.tanh, "re": mp.re, "im": mp.im,
}  # fmt: skip


class NoValue(Exception):
    """A formula has no value at a point, or one that is too large to compute."""


class Value(NamedTuple):
    """A number with a bound on its error."""

    at: Any
    error: Any


def equal(one: Term, other: Term) -> bool:
    """Whether two formulas or two relations are equal. Those without values are not.

    >>> from data_gen.grading.structures import read_formula as read
    >>> equal(read("(x+1)^2"), read("x^2+2x+1")), equal(read("e^{-50}"), read("e^{-51}"))
    (True, False)
    """
    if one == other:
        return True
    with mp.workdps(_DIGITS):
        if one.op == "rel" or other.op == "rel":
            return one.op == other.op and _same_relation(one, other)
        return _agree(one, other)


def has_value(term: Term) -> bool:
    """Whether a formula can be evaluated somewhere. Parts of collections are taken one by one."""
    parts = [arg for arg in term.args if isinstance(arg, Term)]
    if term.op in COMPOSED:
        return all(has_value(part) for part in parts)
    if term.op == "name" or (
        term.op == "mul" and any(part.args[0] == "infinity" for part in parts if part.op == "name")
    ):
        return True
    with mp.workdps(_DIGITS):
        return any(True for _ in _values(term, term))


def _values(one: Term, other: Term) -> Iterator[tuple[Value, Value]]:
    """The values of both where both have one."""
    names = _names(one) | _names(other)
    for point in range(_POINTS if names else 1):
        given = {name: _at(name, point) for name in names}
        try:
            yield _evaluate(one, given), _evaluate(other, given)
        except (NoValue, ZeroDivisionError, ValueError, OverflowError):
            continue


def _at(name: str, point: int) -> Any:
    """A value of a variable, the same in every process. The first points are positive."""
    drawn = random.Random(f"{name}/{point}")
    size = mpf(drawn.randint(1, 10**9)) / 10**9 * (1, 5, 1, 5, 3, 3, 20, 3)[point]
    return size if point < 4 or drawn.random() < 0.5 or name == "log base" else -size


def _agree(one: Term, other: Term) -> bool:
    """Whether the values are the same at every point where both are real, or at every point where none is."""
    constant = not _names(one) | _names(other)
    rounded = constant and _decimals(one) != _decimals(other)
    real, complex_ = 0, []
    for pair in _values(one, other):
        if any(abs(mp.im(value.at)) > value.error for value in pair):
            complex_.append(_near(*pair, rounded))
        elif not _near(*pair, rounded):
            return False
        else:
            real += 1
    fewest = 1 if constant else _FEWEST
    return real >= fewest or (not real and len(complex_) >= fewest and all(complex_))


def _near(one: Value, other: Value, rounded: bool) -> bool:
    distance = abs(one.at - other.at)
    return bool(
        distance <= 1000 * (one.error + other.error)
        or (rounded and distance <= _DECIMAL_DIGITS * max(abs(one.at), abs(other.at)))
    )


def _same_relation(one: Term, other: Term) -> bool:
    """Whether left minus right differs by a constant factor, which is positive for inequalities."""
    first, second = (Term("add", (term.args[0], negative(term.args[2]))) for term in (one, other))
    values = list(_values(first, second))
    if len(values) < _FEWEST or any(abs(value.at) <= value.error for pair in values for value in pair):
        return False
    ratios = [a.at / b.at for a, b in values]
    spread = max(abs(ratio - ratios[0]) for ratio in ratios)
    known = mpf(10) ** (12 - _DIGITS) * max(1, abs(ratios[0]))
    return bool(spread <= known and (one.args[1] in ("=", "!=") or mp.re(ratios[0]) > 0))


def _decimals(term: Term) -> bool:
    return term.op == "num" and bool(term.args[1])


def _names(term: Term) -> frozenset[str]:
    if term.op == "name":
        return frozenset() if term.args[0] in CONSTANTS else frozenset(term.args)
    own = frozenset(["log base"]) if term.op == "call" and term.args[0] == "log" else frozenset()
    return own.union(*(_names(arg) for arg in term.args if isinstance(arg, Term)))


def _evaluate(term: Term, given: dict[str, Any]) -> Value:
    known = exact(term)
    if known is not None:
        return _rounded(mpf(known.numerator) / known.denominator)
    if term.op == "name":
        return _constant(term.args[0], given)
    if term.op not in ("add", "mul", "pow", "call"):
        raise NoValue
    args = [_evaluate(arg, given) for arg in term.args if isinstance(arg, Term)]
    if term.op == "add":
        return _rounded(mp.fsum(arg.at for arg in args), sum(arg.error for arg in args))
    if term.op == "mul":
        product = args[0]
        for arg in args[1:]:
            error = abs(product.at) * arg.error + abs(arg.at) * product.error + product.error * arg.error
            product = _rounded(product.at * arg.at, error)
        return product
    return _power(term, *args) if term.op == "pow" else _call(term.args[0], args, given)


def _rounded(at: Any, error: Any = 0) -> Value:
    if not mp.isfinite(at) or error > _LEAST_KNOWN * max(1, abs(at)):
        raise NoValue
    return Value(at, error + abs(at) * _ROUNDING)


def _constant(name: str, given: dict[str, Any]) -> Value:
    if name in given:
        return _rounded(given[name])
    if name in ("infinity", "emptyset", "\\mathbb{R}"):
        raise NoValue
    return _rounded({"pi": mp.pi, "e": mp.e, "i": mp.mpc(0, 1), "degree": mp.pi / 180}[name])


def _power(term: Term, base: Value, exponent: Value) -> Value:
    if abs(base.at) <= base.error:
        if mp.re(exponent.at) <= 0:
            raise NoValue
        return Value(mpf(0), base.error ** min(mp.re(exponent.at), 1))
    log = mp.log(base.at)
    if abs(log * exponent.at) > _LARGEST_LOG:
        raise NoValue
    power = exact(term.args[1])
    at = _odd_root(base.at, power) if power is not None else None
    at = mp.power(base.at, exponent.at) if at is None else at
    return _rounded(at, abs(at) * (abs(exponent.at) * base.error / abs(base.at) + abs(log) * exponent.error))


def _odd_root(base: Any, power: Fraction) -> Any:
    """The real value of a negative number to a power with an odd denominator. None for other powers."""
    if mp.im(base) != 0 or base > 0 or power.denominator % 2 == 0 or power.denominator == 1:
        return None
    size = mp.power(-base, mpf(power.numerator) / power.denominator)
    return -size if power.numerator % 2 else size


def _call(function: str, args: list[Value], given: dict[str, Any]) -> Value:
    x, error = args[0]
    if function in ("ln", "log"):
        if abs(x) <= error:
            raise NoValue
        at = mp.log(x)
        base = mp.log(1 + given["log base"]) if function == "log" else 1
        return _rounded(at / base, error / abs(x))
    if function in ("abs", "floor", "ceil"):
        at = {"abs": abs, "floor": mp.floor, "ceil": mp.ceil}[function](x)
        return _rounded(at, error)
    if function in ("factorial", "binomial", "permutations"):
        return _counted(function, args)
    if abs(x) > 10**9:
        raise NoValue
    at = _FUNCTIONS[function](x)
    return _rounded(at, error * (1 + abs(at) ** 2) * (1 + abs(x)))


def _counted(function: str, args: list[Value]) -> Value:
    if any(abs(arg.at) > 10**4 for arg in args):
        raise NoValue
    n = args[0].at
    if function == "factorial":
        at = mp.factorial(n)
    elif function == "binomial":
        at = mp.binomial(n, args[1].at)
    else:
        at = mp.gammaprod([n + 1], [n - args[1].at + 1])
    return _rounded(at, abs(at) * (1 + sum(arg.error for arg in args)) * _ROUNDING * 10**4)
