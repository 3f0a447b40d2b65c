"""Arithmetic in the text of steps: finds `12 + 5 = 17`, computes its left side exactly, says whether it holds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

NUMBER = r"\d+(?:,\d{3})*(?:\.\d+)?"
"""A number as texts write it: `1,200.50`."""
_NAME = r"[A-Za-z]\d+"
_OPERAND = rf"(?:{NUMBER}|{_NAME})[)\s]{{0,8}}"
_SIGNS = "+\\-−*/×÷"
_TOKEN = re.compile(rf"{NUMBER}|{_NAME}|[{_SIGNS}()]")
# Everything is bounded, so that a search takes time linear in the text.
_EQUATION = re.compile(
    rf"(?<![\w.,])(?P<left>-?[($]{{0,8}}{_OPERAND}(?:[{_SIGNS}][($\s]{{0,8}}{_OPERAND}){{1,40}})"
    rf"=\s*\$?(?P<right>-?(?:{NUMBER}|{_NAME}))(?!\w|\.\d|,\d|\s*=|[^\S\n]*[{_SIGNS}])"
)


@dataclass(frozen=True, slots=True)
class Equation:
    """One equation in a text.

    >>> [one] = equations("so 12 + 5 = 17 coins")
    >>> one
    Equation(begin=3, end=14, left=('12', '+', '5'), right='17')
    """

    begin: int
    """Where it begins in the text."""
    end: int
    left: tuple[str, ...]
    """Numbers, names such as `y1`, signs and brackets."""
    right: str


def equations(text: str) -> Iterator[Equation]:
    """The equations of a text, in order. Left sides have at least one sign. A chain `a = b = c` is none: which of its
    sides is meant cannot be told."""
    for found in _EQUATION.finditer(text):
        left = tuple(_TOKEN.findall(found["left"]))
        begin, open_ = found.start(), left.count("(") - left.count(")")
        while open_ > 0 and left[0] == "(":  # a bracket around the equation
            begin, open_, left = text.index("(", begin) + 1, open_ - 1, left[1:]
        if not _continues(text[: found.start()]):
            yield Equation(begin, found.end(), left, found["right"])


def _continues(before: str) -> bool:
    """Whether what stands before an equation belongs to its left side. A hyphen that begins a line is a bullet."""
    line = before.rpartition("\n")[2].rstrip(" \t$(")
    return line.strip() != "-" and line.endswith((*_SIGNS.replace("\\", ""), "="))


def number(text: str) -> Fraction:
    """The value of a number as texts write it.

    >>> number("-1,200.5")
    Fraction(-2401, 2)
    """
    return Fraction(text.replace(",", "").replace("−", "-"))


def is_number(text: str) -> bool:
    """Whether a text is one number, and no name."""
    return re.fullmatch(f"-?{NUMBER}", text) is not None


def value(tokens: Sequence[str], names: Mapping[str, Fraction]) -> Fraction | None:
    """The value of a left side. None if it cannot be computed: brackets that do not match, an unknown name, a division
    by zero.

    >>> value(("2", "*", "(", "y1", "-", "5", ")"), {"y1": Fraction(12)})
    Fraction(14, 1)
    """
    try:
        reader = _Reader(tokens, names)
        found = reader.sum()
        return found if reader.at == len(tokens) else None
    except (IndexError, KeyError, ZeroDivisionError):
        return None


def holds(equation: Equation) -> bool:
    """Whether both sides are equal, up to the rounding of the decimals that the right side shows.

    >>> [holds(one) for one in equations("10 / 3 = 3.33, 10 / 3 = 3.34, 2 + 2 = 4")]
    [True, False, True]
    """
    left = value(equation.left, {})
    return left is not None and is_number(equation.right) and rounds_to(left, equation.right)


def rounds_to(exact: Fraction, shown: str) -> bool:
    """Whether a number is what `shown` says, in as many decimals as it shows."""
    decimals = len(shown.partition(".")[2])
    return exact == number(shown) or (decimals > 0 and abs(exact - number(shown)) <= Fraction(1, 2 * 10**decimals))


class _Reader:
    """Sums of products of operands, read from left to right."""

    def __init__(self, tokens: Sequence[str], names: Mapping[str, Fraction]) -> None:
        self._tokens, self._names, self.at = tokens, names, 0

    def sum(self) -> Fraction:
        """Terms joined by + and -."""
        total = self._product()
        while self._next() in ("+", "-", "−"):
            sign = self._take()
            total = total + self._product() if sign == "+" else total - self._product()
        return total

    def _product(self) -> Fraction:
        found = self._operand()
        while self._next() in ("*", "×", "/", "÷"):
            sign = self._take()
            found = found * self._operand() if sign in "*×" else found / self._operand()
        return found

    def _operand(self) -> Fraction:
        token = self._take()
        if token in ("-", "−"):
            return -self._operand()
        if token == "(":
            inside = self.sum()
            if self._take() != ")":
                raise IndexError
            return inside
        return number(token) if token[0].isdigit() else self._names[token]

    def _next(self) -> str:
        return self._tokens[self.at] if self.at < len(self._tokens) else ""

    def _take(self) -> str:
        self.at += 1
        return self._tokens[self.at - 1]
