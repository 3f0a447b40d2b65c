r"""Reads what formulas are put together to: lists, tuples, intervals, sets, unions, matrices, relations.

whole    := items (";" items)*
items    := relation (("," | "and" | "or") relation)*
relation := union (("=" | "<" | "<=" | ">" | ">=" | "!=" | "\in") union)*
union    := sum ("\cup" sum)*
"""

from __future__ import annotations

from data_gen.grading.formula import Formulas
from data_gen.grading.terms import COLLECTIONS, COMPOSED, Term
from data_gen.grading.tokens import Token, Unreadable, tokens

_RELATIONS = ("=", "<", "<=", ">", ">=", "!=", "\\in")
_MATRICES = frozenset(["matrix", "pmatrix", "bmatrix", "Bmatrix", "smallmatrix", "array"])


def read_formula(text: str, *, joined: bool = False) -> Term | None:
    r"""The term that the whole text is. None if any of it cannot be read.

    Args:
        text: What `clean.plain` leaves of an answer.
        joined: As for `Formulas`.

    >>> read_formula("x^2+1").op, read_formula("(1, 2]").op, read_formula("1 2 3"), read_formula("0.1(6)").args[0]
    ('add', 'interval', None, Fraction(1, 6))
    """
    try:
        return Structures(_set_braces(tokens(text)), joined=joined).whole()
    except Unreadable:
        return None


class Structures(Formulas):
    """The rules above `sum`."""

    def whole(self) -> Term:
        """All tokens. Parts between semicolons are in order."""
        parts = [self._items()]
        while self.take(";"):
            parts.append(self._items())
        if self.next.kind != "end":
            raise Unreadable
        term = parts[0] if len(parts) == 1 else _ordered(parts)
        if _misplaced(term, inside=False):
            raise Unreadable
        return term

    def _items(self) -> Term:
        elements, joints = self._element(), set()
        while joint := self._joint():
            joints.add(joint)
            elements += self._element()
        if len(elements) == 1:
            return elements[0]
        if any(_is_inequality(element) for element in elements):
            if joints != {"or"}:
                raise Unreadable  # both conditions, or either of them
            return Term("union", tuple(elements))
        return Term("list", tuple(elements))

    def _joint(self) -> str:
        comma = self.take(",") or ""
        if self.next.kind == "word" and self.next.text in ("and", "or"):
            self.at += 1
            return self.tokens[self.at - 1].text
        return comma

    def _element(self) -> list[Term]:
        r"""One relation, or the two that a `\pm` stands for."""
        start, self.both_signs, self.upper_sign = self.at, False, True
        found = [self._relation()]
        if self.both_signs:
            self.at, self.upper_sign = start, False
            found.append(self._relation())
            self.upper_sign = True
        return found

    def _relation(self) -> Term:
        parts: list[Term | str] = [self._union()]
        while (sign := self.take(*_RELATIONS)) is not None:
            parts += [sign, self._union()]
        return parts[0] if isinstance(parts[0], Term) and len(parts) == 1 else Term("rel", tuple(parts))

    def _union(self) -> Term:
        parts = [self.sum()]
        while self.take("\\cup") or self._takes_u(parts[-1]):
            parts.append(self.sum())
        if len(parts) == 1:
            return parts[0]
        if any(part.op not in COLLECTIONS and part.op != "name" for part in parts):
            raise Unreadable
        return Term("union", tuple(parts))

    def _takes_u(self, before: Term) -> bool:
        """The letter U between intervals."""
        if before.op != "interval" or self.next.text != "U":
            return False
        self.at += 1
        return True

    def bracketed(self) -> Term:
        """A group, tuple, interval, set or matrix."""
        if self.take("\\begin"):
            return self._matrix()
        if self.take("\\{"):
            return self._set()
        if angle := self.take("\\langle", "<"):
            return self._angles("\\rangle" if angle == "\\langle" else ">")
        opening = self.take("(", "[")
        if opening is None:
            raise Unreadable
        return self._in_brackets(opening)

    def _in_brackets(self, opening: str) -> Term:
        bars, self.bars = self.bars, False
        elements = [self.deeper(self._union)]
        while self.take(",", ";"):
            elements.append(self.deeper(self._union))
        self.bars = bars
        closing = self.take(")", "]")
        if closing is None:
            raise Unreadable
        matching = opening + closing in ("()", "[]")
        if len(elements) == 2:
            return Term("interval", (opening, *elements, closing))
        if not matching:
            raise Unreadable
        if len(elements) == 1 and (opening == "(" or elements[0].op == "matrix"):
            return elements[0]
        return Term("tuple", tuple(elements))

    def _angles(self, closing: str) -> Term:
        elements = [self.deeper(self.sum)]
        while self.take(","):
            elements.append(self.deeper(self.sum))
        self.need(closing)
        return _ordered(elements)

    def _set(self) -> Term:
        r"""Elements, or the condition of `\{x | x > 1\}`."""
        if self.take("\\}"):
            return Term("set", ())
        bars, self.bars = self.bars, True
        elements = self._element()
        self.bars = bars
        if self.take("|", ":"):
            condition = self._relation()
            self.need("\\}")
            return condition
        while self._joint():
            elements += self._element()
        self.need("\\}")
        return Term("set", tuple(elements))

    def _matrix(self) -> Term:
        kind = self._environment()
        if kind not in _MATRICES:
            raise Unreadable
        if kind == "array":
            self._environment()
        rows: list[tuple[Term, ...]] = []
        while not self.take("\\end"):
            row = [self.deeper(self.sum)]
            while self.take("&"):
                row.append(self.deeper(self.sum))
            rows.append(tuple(row))
            if not self.take("\\\\") and self.next.text != "\\end":
                raise Unreadable
        if self._environment() != kind or not rows or len({len(row) for row in rows}) != 1:
            raise Unreadable
        return Term("matrix", tuple(Term("tuple", row) for row in rows))

    def _environment(self) -> str:
        self.need("{")
        return self.until_brace()


def _misplaced(term: Term, *, inside: bool) -> bool:
    """Whether it computes with collections, as in the product of two matrices."""
    if inside and term.op in COMPOSED:
        return True
    inside = inside or term.op in ("add", "mul", "pow", "call")
    return any(_misplaced(arg, inside=inside) for arg in term.args if isinstance(arg, Term))


def _is_inequality(term: Term) -> bool:
    return term.op == "rel" and any(sign not in ("=", "\\in") for sign in term.args[1::2])


def _ordered(elements: list[Term]) -> Term:
    """A tuple. A pair is also the open interval that looks the same."""
    return Term("interval", ("(", *elements, ")")) if len(elements) == 2 else Term("tuple", tuple(elements))


def _set_braces(found: list[Token]) -> list[Token]:
    """Braces around the whole text that hold commas are those of a set: `{1, 2}`."""
    if len(found) < 2 or found[0].text != "{" or found[-1].text != "}" or not any(t.text == "," for t in found):
        return found
    depth = 0
    for i, token in enumerate(found):
        depth += {"{": 1, "}": -1}.get(token.text, 0)
        if depth == 0 and i < len(found) - 1:
            return found
    return [Token("sign", "\\{"), *found[1:-1], Token("sign", "\\}")]
