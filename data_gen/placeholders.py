"""Results of equations as placeholders (Chain-of-Abstraction, arXiv 2401.17464, section 3), and filled in again.

`12 + 5 = 17`, `17 - 3 = 14` becomes `[12 + 5 = y1]`, `[y1 - 3 = y2]`: numbers of the question stay, results do not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from data_gen.equations import NUMBER, Equation, equations, is_number, number, rounds_to, value


@dataclass(frozen=True, slots=True)
class Abstracted:
    """Texts whose results are placeholders: `Abstracted(texts=("[12 + 5 = y1]",), values={"y1": Fraction(17)})`."""

    texts: tuple[str, ...]
    values: Mapping[str, Fraction]
    """Placeholder -> its value, in order. Solving the equations gives these."""


def abstracted(texts: Iterable[str], question: str, name: str = "y{n}") -> Abstracted | None:
    """Texts with a placeholder for every result and for every later use of one.

    A number that the question states stands for the question's, unless it is the result of the equation before; every
    result replaces one operand of an equation at most where the question states that number, too. None if a text has
    no equation that can be read, or a wrong one: solving would not give back what it says.

    >>> abstracted(["Ben: 12 + 5 = 17", "17 - 3 = 14"], "12 and 5 more, 3 lost").texts
    ('Ben: [12 + 5 = y1]', '[y1 - 3 = y2]')
    """
    stated = {number(found) for found in re.findall(NUMBER, question)}
    values: dict[str, Fraction] = {}
    made = []
    for text in texts:
        found = list(equations(text))
        if not found:
            return None
        pieces, at = [], 0
        for equation in found:
            left = _named(equation, values, stated)
            exact = value(left, values)
            if exact is None or not is_number(equation.right) or not rounds_to(exact, equation.right):
                return None
            new = name.format(n=len(values) + 1)
            values[new] = exact
            pieces += [text[at : equation.begin], f"[{written(left)} = {new}]"]
            at = equation.end
        made.append("".join([*pieces, text[at:]]))
    return Abstracted(tuple(made), values)


def _named(equation: Equation, values: Mapping[str, Fraction], stated: set[Fraction]) -> tuple[str, ...]:
    """The left side with placeholders for earlier results."""
    used, last = set[str](), next(reversed(list(values)), "")
    found = []
    for token in equation.left:
        names = [name for name in values if is_number(token) and values[name] == number(token)]
        literal = is_number(token) and number(token) in stated
        name = names[-1] if names else ""
        if name and (not literal or (name == last and name not in used)):
            used.add(name)
            found.append(name)
        else:
            found.append(token)
    return tuple(found)


def written(left: Iterable[str]) -> str:
    """A left side as text.

    >>> written(("2", "*", "(", "y1", "-", "5", ")"))
    '2 * (y1 - 5)'
    """
    return " ".join(left).replace("( ", "(").replace(" )", ")")


def filled(text: str, name: str = "y{n}") -> str | None:
    """An abstract text with its placeholders solved and replaced, without the brackets around equations: what a tool
    makes of a policy's chain. None if it cannot be solved: a placeholder that is used before it is defined or defined
    twice, a division by zero.

    >>> filled("[12 + 5 = y1]\\n[y1 - 3 = y2]\\nAnswer: y2")
    '12 + 5 = 17\\n17 - 3 = 14\\nAnswer: 14'
    """
    known = re.compile(r"\b" + re.escape(name).replace(re.escape("{n}"), r"\d+") + r"\b")
    values: dict[str, Fraction] = {}
    for equation in equations(text):
        exact = value(equation.left, values)
        if known.fullmatch(equation.right) is None:
            continue
        if exact is None or equation.right in values:
            return None
        values[equation.right] = exact
    if any(found not in values for found in known.findall(text)):
        return None
    solved = known.sub(lambda found: shown(values[found[0]]), text)
    return re.sub(r"\[([^\[\]]*=[^\[\]]*)\]", r"\1", solved)


def shown(exact: Fraction) -> str:
    """A number as text: whole, or with at most six decimals.

    >>> shown(Fraction(34, 2)), shown(Fraction(5, 4)), shown(Fraction(-1, 3))
    ('17', '1.25', '-0.333333')
    """
    if exact.denominator == 1:
        return str(exact.numerator)
    return f"{float(round(exact, 6)):.6f}".rstrip("0").rstrip(".")
