r"""Reads a formula in LaTeX or plain notation. The grammar is closed, and every token must be used.

sum     := ["+" | "-"] product (("+" | "-") product)*
product := power (["*" | "/"] power)*          adjacent factors multiply; only the first may be a number
power   := primary ("!" | "%" | "'")* ["^" exponent]
primary := number | name | \frac | \sqrt | function | "|" sum "|" | "(" sum ")" | a collection
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from fractions import Fraction

from data_gen.grading.terms import Term, exact, name, negative, number, quotient
from data_gen.grading.tokens import Token, Unreadable
from data_gen.grading.units import UNITS
from data_gen.grading.vocabulary import FUNCTIONS, GREEK, SHORT_WORDS

DEEPEST = 40
"""Most levels of brackets, fractions and exponents."""
_BRACKETED = {"abs": "abs", "floor": "floor", "ceil": "ceil", "Re": "re", "Im": "im", "binom": "binomial"}
"""Functions that need brackets around their arguments."""
_ROOTS = {"sqrt": 2, "root": 2, "cbrt": 3}
"""Functions that are roots, with their degrees."""
_INVERSE = {"sin": "arcsin", "cos": "arccos", "tan": "arctan"}
_CONSTANTS = {
    "pi": "pi",
    **dict.fromkeys(["infty", "infinity", "oo", "inf"], "infinity"),
    **dict.fromkeys(["degree", "degrees", "deg"], "degree"),
    **dict.fromkeys(["emptyset"], "emptyset"),
}
_OPAQUE = frozenset(["overline", "bar", "vec", "hat", "tilde", "mathbb", "mathcal", "mathfrak"])
_FENCES = {"lfloor": ("rfloor", "floor"), "lceil": ("rceil", "ceil")}
_FACTORS = FUNCTIONS | GREEK | _OPAQUE | _FENCES.keys() | _CONSTANTS.keys() | {"frac", "sqrt", "binom", "cfrac"}
_APPLIED_LETTERS = frozenset("fghFGHPQ")
"""Letters whose brackets hold an argument, as in f(x). Those of other letters hold a factor, as in n(n+1)."""
_COUNTED = {"C": "binomial", "P": "permutations", "A": "permutations"}
_LONGEST_PRODUCT = 3
"""Most letters side by side that are a product in mathematics."""
_PRODUCTS = frozenset(["xyz", "abc"])
"""Runs of three letters that are products. Others are words."""


class Formulas(ABC):
    """A cursor over tokens with one method for each rule of the grammar."""

    def __init__(self, tokens: list[Token], *, joined: bool) -> None:
        """`joined`: it stood in mathematics, so that letters side by side are a product, whatever word they spell."""
        self.tokens = [*tokens, Token("end", "")]
        self.at = 0
        self._depth = 0
        self.bars = False
        self.both_signs = False
        self.upper_sign = True
        self._math = joined
        self._joined = any(token.kind != "word" for token in tokens)

    @property
    def next(self) -> Token:
        """The token at the cursor. The last one is `end`."""
        return self.tokens[self.at]

    def take(self, *texts: str) -> str | None:
        """Moves past the next token if it is one of these signs or commands."""
        token = self.next
        if token.text not in texts or token.kind not in ("sign", "command"):
            return None
        self.at += 1
        return token.text

    def need(self, *texts: str) -> None:
        """As `take`, but anything else is unreadable."""
        if self.take(*texts) is None:
            raise Unreadable

    def deeper(self, rule: Callable[[], Term]) -> Term:
        """A rule, one level further in. Too many levels are unreadable."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise Unreadable
        term = rule()
        self._depth -= 1
        return term

    def sign(self) -> str | None:
        r"""`+` or `-`, also for `\pm` and `\mp`, whose upper or lower sign is being read."""
        found = self.take("+", "-", "\\pm", "\\mp")
        if found in ("\\pm", "\\mp"):
            self.both_signs = True
            return "+" if (found == "\\pm") == self.upper_sign else "-"
        return found

    @abstractmethod
    def bracketed(self) -> Term:
        """What stands in brackets: a sum, or several elements."""

    def sum(self) -> Term:
        """Products with signs between them."""
        sign = self.sign()
        first = self.product()
        terms = [negative(first) if sign == "-" else first]
        while (sign := self.sign()) is not None:
            term = self.product()
            terms.append(negative(term) if sign == "-" else term)
        return terms[0] if len(terms) == 1 else Term("add", tuple(terms))

    def product(self) -> Term:
        """Factors with `*`, `/` or nothing between them."""
        factors = [self.power()]
        while True:
            if (sign := self.take("*", "/")) is not None:
                factor = negative(self.power()) if self.take("-") else self.power()
                factors.append(Term("pow", (factor, number(-1))) if sign == "/" else factor)
            elif self._factor_follows():
                factors.append(self.power())
            else:
                return factors[0] if len(factors) == 1 else Term("mul", tuple(factors))

    def _factor_follows(self) -> bool:
        token = self.next
        if token.kind == "number":
            raise Unreadable  # 1 2, x2 and (x) 2 are no products
        if token.kind == "word":
            return token.text not in ("and", "or", "U")
        if token.kind == "command":
            return token.text[1:] in _FACTORS
        return token.text in ("(", "{") or (token.text == "|" and not self.bars)

    def power(self) -> Term:
        """A primary with the marks and the exponent behind it."""
        base = self.deeper(self.primary)
        while (mark := self.take("!", "%", "'")) is not None:
            base = _marked(base, mark)
        return Term("pow", (base, self.deeper(self.exponent))) if self.take("^") else base

    def exponent(self) -> Term:
        """What stands behind `^`."""
        if self.take("-"):
            return negative(self.deeper(self.exponent))
        if self.take("+"):
            return self.deeper(self.exponent)
        term = self.primary()
        return Term("pow", (term, self.deeper(self.exponent))) if self.take("^") else term

    def primary(self) -> Term:
        """One number, name, function or bracket."""
        token = self.next
        if token.kind == "number":
            return self._number()
        if token.kind == "word":
            return self._word()
        if token.kind == "command":
            return self._command()
        if self.take("{"):
            term = self.deeper(self.sum)
            self.need("}")
            return term
        if token.text == "|" and not self.bars:
            return self._absolute()
        return self.bracketed()

    def _number(self) -> Term:
        token = self.next
        self.at += 1
        if token.value is None:
            raise Unreadable
        if self.take("_"):
            return number(_in_base(token.text, self._subscript()))
        fraction = self._proper_fraction() if token.text.isdecimal() else None
        return Term("add", (number(token.value), fraction)) if fraction else number(token.value, token.point)

    def _proper_fraction(self) -> Term | None:
        r"""The fraction of a mixed number, `1/2` or `\frac{1}{2}` behind a whole number. Else the cursor stays."""
        start, token = self.at, self.next
        if token.text == "\\frac":
            found = self._command()
        elif token.kind == "number" and self.tokens[self.at + 1].text == "/":
            top, bottom = token, self.tokens[self.at + 2]
            if not (top.text.isdecimal() and bottom.text.isdecimal()):
                raise Unreadable
            self.at += 3
            found = quotient(number(int(top.text)), number(int(bottom.text)))
        else:
            return None
        parts = [found.args[0], found.args[1].args[0]]
        if all(part.op == "num" and part.args[0].denominator == 1 for part in parts) and (
            0 < parts[0].args[0] < parts[1].args[0]
        ):
            return found
        if token.kind == "number":
            raise Unreadable  # 2 7/3
        self.at = start
        return None

    def _word(self) -> Term:
        text = self.next.text
        greek = text in GREEK and not (self._math and len(text) == 2)  # m times u, where \\mu would be the letter
        if greek or text in FUNCTIONS or text in _BRACKETED or text in _CONSTANTS or text in _ROOTS:
            return self._called(text)
        if len(text) > 1:
            if not self._is_product(text):
                raise Unreadable
            self.tokens[self.at : self.at + 1] = [Token("word", letter) for letter in text]
            text = text[0]
        start = self.at
        self.at += 1
        if self.next.text == "(" and (text in _APPLIED_LETTERS or text in _COUNTED):
            return self._applied(text, start)
        return self._named(text)

    def _is_product(self, letters: str) -> bool:
        """Whether letters side by side are variables and not a word."""
        if self._math:
            return len(letters) <= _LONGEST_PRODUCT
        word = letters.lower() in SHORT_WORDS or letters in UNITS
        return self._joined and (letters in _PRODUCTS or (len(letters) == 2 and not word))

    def _applied(self, letter: str, start: int) -> Term:
        """f(x) as one name, C(n, k) as a number of choices, and C(x+1) as a product."""
        inside = self.deeper(self.bracketed)
        if inside.op in ("tuple", "interval") and letter in _COUNTED:
            ends = [part for part in inside.args if isinstance(part, Term)]
            if len(ends) == 2:
                return Term("call", (_COUNTED[letter], *ends))
        if letter in _APPLIED_LETTERS:
            return name("".join(token.text for token in self.tokens[start : self.at]))
        return Term("mul", (name(letter), inside))

    def _named(self, text: str) -> Term:
        return name(f"{text}_{self._subscript()}" if self.take("_") else text)

    def _subscript(self) -> str:
        if not self.take("{"):
            token = self.next
            self.at += 1
            if token.kind not in ("number", "word", "command"):
                raise Unreadable
            return token.text
        return self.until_brace()

    def until_brace(self) -> str:
        """The text up to the brace that closes one already open."""
        start, depth = self.at, 1
        while depth:
            token = self.next
            if token.kind == "end":
                raise Unreadable
            depth += {"{": 1, "}": -1}.get(token.text, 0)
            self.at += 1
        return "".join(token.text for token in self.tokens[start : self.at - 1])

    def _command(self) -> Term:
        text = self.next.text[1:]
        if text in ("frac", "cfrac"):
            self.at += 1
            return quotient(self.deeper(self._argument), self.deeper(self._argument))
        if text in ("binom", "sqrt"):
            self.at += 1
            return self._root() if text == "sqrt" else Term("call", ("binomial", self._argument(), self._argument()))
        if text in _OPAQUE:
            self.at += 1
            self.need("{")
            return self._named(f"\\{text}{{{self.until_brace()}}}")
        if text in _FENCES:
            self.at += 1
            inside = self.deeper(self.sum)
            self.need(f"\\{_FENCES[text][0]}")
            return Term("call", (_FENCES[text][1], inside))
        if text in FUNCTIONS or text in _CONSTANTS or text in GREEK:
            return self._called(text)
        return self.bracketed()

    def _argument(self) -> Term:
        """An argument of a LaTeX command: a group in braces, one digit or one name."""
        token = self.next
        if token.kind == "number" and len(token.text) > 1:
            if not token.text.isdecimal():
                raise Unreadable
            digits = (token.text[0], token.text[1:])
            self.tokens[self.at : self.at + 1] = [Token("number", one, Fraction(one)) for one in digits]
        return self.primary()

    def _root(self) -> Term:
        degree = number(2)
        if self.take("["):
            degree = self.deeper(self.sum)
            self.need("]")
        inside = self.deeper(self._argument)
        if self.next.kind == "number":
            raise Unreadable
        return Term("pow", (inside, quotient(number(1), degree)))

    def _called(self, text: str) -> Term:
        """A constant, a Greek letter or a function with its argument."""
        self.at += 1
        if text in _CONSTANTS:
            return name(_CONSTANTS[text])
        if text in GREEK:
            return self._named(text)
        if text in _ROOTS:
            return Term("pow", (self.deeper(self.primary), quotient(number(1), number(_ROOTS[text]))))
        if text in _BRACKETED:
            inside = self.deeper(self.bracketed)
            args = inside.args if inside.op == "tuple" else (inside,)
            return Term("call", (_BRACKETED[text], *args))
        return self._function(text)

    def _function(self, text: str) -> Term:
        base = self._argument() if text == "log" and self.take("_") else None
        power = self.deeper(self.exponent) if self.take("^") else None
        if base is None and text == "log" and self.take("_"):
            base = self._argument()
        inside = self.deeper(self._function_argument)
        if power is not None and exact(power) == -1 and text in _INVERSE:
            text, power = _INVERSE[text], None
        term = Term("pow", (name("e"), inside)) if text == "exp" else Term("call", (text, inside))
        if base is not None or text == "lg":
            term = quotient(Term("call", ("ln", inside)), Term("call", ("ln", base or number(10))))
        return term if power is None else Term("pow", (term, power))

    def _function_argument(self) -> Term:
        """A bracket, or the product up to the next sign or function. Unreadable if a bracket follows a number."""
        if self.next.text in ("(", "[", "{", "|"):
            return self.primary()
        factors = [self.power()]
        while self._factor_follows() and not self._function_follows():
            factors.append(self.power())
        if factors[-1].op == "num" and self.next.text == "(":
            raise Unreadable  # sin 2(x + 1): of 2, or of all
        return factors[0] if len(factors) == 1 else Term("mul", tuple(factors))

    def _function_follows(self) -> bool:
        return self.next.text.removeprefix("\\") in FUNCTIONS or self.next.text == "("

    def _absolute(self) -> Term:
        self.need("|")
        self.bars = True
        inside = self.deeper(self.sum)
        self.bars = False
        self.need("|")
        return Term("call", ("abs", inside))


def _marked(base: Term, mark: str) -> Term:
    if mark == "!":
        return Term("call", ("factorial", base))
    if mark == "%":
        return quotient(base, number(100))
    if base.op != "name":
        raise Unreadable
    return name(f"{base.args[0]}'")


def _in_base(digits: str, base: str) -> int:
    """The value of `101_2`."""
    if not (digits.isdecimal() and base.isdecimal() and len(base) <= 2 and 2 <= int(base) <= 36):
        raise Unreadable
    try:
        return int(digits, int(base))
    except ValueError:
        raise Unreadable from None
