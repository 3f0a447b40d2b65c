"""Equations as values of a name, inequalities as intervals."""

from __future__ import annotations

from data_gen.grading.terms import Term, name, negative

CONSTANTS = frozenset(["pi", "e", "i", "infinity", "degree", "emptyset", "\\mathbb{R}"])
"""Names that are no variables."""
_FLIPPED = {">": "<", ">=": "<="}
_INFINITY = name("infinity")
REALS = Term("interval", ("(", negative(_INFINITY), _INFINITY, ")"))
"""All real numbers."""


def said_of(term: Term) -> tuple[Term, str | None]:
    """A value, and the name that it is the value of: (3, `x`) for x = 3, (the interval above 3, `x`) for x > 3. An
    equation between numbers is its last side."""
    if term.op in ("list", "union"):
        return _alternatives(term)
    if term.op != "rel":
        return term, None
    interval = _interval(rising(term))
    if interval is not None:
        return interval
    signs = term.args[1::2]
    if any(sign not in ("=", "\\in") for sign in signs):
        return term, None
    first, last = term.args[0], term.args[-1]
    if len(term.args) == 3 and _is_variable(last) and not _is_variable(first):
        first, last = last, first
    if _is_variable(first) and not _is_variable(last):
        return last, first.args[0]
    if (point := _point(first)) is not None and last.op == first.op and _point(last) is None:
        return last, point
    numbers = not has_variables(first) and not has_variables(last) and "\\in" not in signs
    return (last, None) if numbers else (term, None)


def rising(term: Term) -> Term:
    """A relation with < and <= alone, where it has only > and >=."""
    if all(sign in _FLIPPED for sign in term.args[1::2]):
        return Term("rel", tuple(_FLIPPED.get(a, a) if isinstance(a, str) else a for a in reversed(term.args)))
    return term


def has_variables(term: Term) -> bool:
    """Whether it contains names that are no constants."""
    if term.op == "name":
        return not _is_constant(term)
    return any(isinstance(arg, Term) and has_variables(arg) for arg in term.args)


def _alternatives(term: Term) -> tuple[Term, str | None]:
    """`x = 2 or x = 3` as 2, 3, and `x < 2 or x > 3` as a union."""
    parts = [said_of(part) for part in term.args]
    labels = {label for _, label in parts}
    label = parts[0][1]
    bare = all(of is None and value.op != "rel" for value, of in parts[1:])  # x = 2, 3
    if label is None or (len(labels) > 1 and not bare):
        return term, None
    return Term(term.op, tuple(value for value, _ in parts)), label


def _interval(term: Term) -> tuple[Term, str] | None:
    parts, signs = term.args[::2], term.args[1::2]
    if not all(sign in ("<", "<=") for sign in signs):
        return None
    opening, closing = ("[" if signs[0] == "<=" else "("), ("]" if signs[-1] == "<=" else ")")
    if len(parts) == 3 and _is_variable(parts[1]):
        return Term("interval", (opening, parts[0], parts[2], closing)), parts[1].args[0]
    if len(parts) == 2 and _is_variable(parts[0]) and not has_variables(parts[1]):
        return Term("interval", ("(", negative(_INFINITY), parts[1], closing)), parts[0].args[0]
    if len(parts) == 2 and _is_variable(parts[1]) and not has_variables(parts[0]):
        return Term("interval", (opening, parts[0], _INFINITY, ")")), parts[1].args[0]
    return None


def _point(term: Term) -> str | None:
    """The name of a tuple of variables: `(x, y)`."""
    parts = [part for part in term.args if isinstance(part, Term)] if term.op in ("tuple", "interval") else []
    if not parts or not all(map(_is_variable, parts)):
        return None
    return f"({', '.join(part.args[0] for part in parts)})"


def _is_variable(term: Term) -> bool:
    return term.op == "name" and not _is_constant(term)


def _is_constant(term: Term) -> bool:
    return term.args[0] in CONSTANTS
