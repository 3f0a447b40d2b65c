"""What must hold of all answers: properties of readings, and inputs made to hold up or to break the reader."""

from __future__ import annotations

import itertools
import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.graders.auto import Auto
from data_gen.grading.terms import Term, exact, name, number
from data_gen.grading.units import UNITS
from data_gen.grading.values import canonical
from data_gen.records.problem import Problem
from data_gen.records.verdict import Answer, Verdict

WHOLE = st.integers(-(10**9), 10**9)
POSITIVE = st.integers(1, 10**6)
CONVERTED = [
    ("km", "m", 1000), ("m", "cm", 100), ("cm", "mm", 10), ("feet", "inches", 12), ("yards", "feet", 3),
    ("miles", "feet", 5280), ("kg", "g", 1000), ("lb", "oz", 16), ("hours", "minutes", 60), ("minutes", "seconds", 60),
    ("days", "hours", 24), ("weeks", "days", 7), ("years", "months", 12), ("liters", "ml", 1000),
    ("gallons", "quarts", 4), ("dollars", "cents", 100), ("m^2", "cm^2", 10**4), ("cubic meters", "liters", 1000),
    ("tablespoons", "teaspoons", 3),
]  # fmt: skip
FORMATS = [
    "{}",
    " {} ",
    "${}$",
    "\\boxed{{{}}}",
    "\\({}\\)",
    "**{}**",
    "The answer is {}",
    "The answer is ${}$.",
    "= {}",
]
LETTERS = st.sampled_from("abcdkmnpqrtuvwxyz")


def verdict(gold: str, answer: str) -> Verdict:
    return Auto().grade(Problem(id="p", question="q", gold=gold, group="p", split="test"), Answer(answer)).verdict


def right(gold: str, answer: str) -> bool:
    return verdict(gold, answer) is Verdict.CORRECT


def both(one: str, other: str) -> bool:
    """Whether two answers are equal, which must not depend on which of them is gold."""
    assert verdict(one, other) is verdict(other, one), (one, other)
    return right(one, other)


@given(WHOLE, st.sampled_from(FORMATS), st.sampled_from(FORMATS))
def test_formatting_does_not_change_an_answer(n: int, one: str, other: str) -> None:
    assert both(one.format(n), other.format(n)) and not both(one.format(n), other.format(n + 1))


@given(POSITIVE, st.sampled_from(CONVERTED))
def test_conversions_of_units_are_exact(n: int, units: tuple[str, str, int]) -> None:
    large, small, factor = units
    assert both(f"{n} {large}", f"{n * factor} {small}") and not both(f"{n} {large}", f"{n * factor + 1} {small}")
    assert both(f"{n} {large}", str(n)) and not both(f"{n} {large}", f"{n} {small}")


@given(POSITIVE, st.sampled_from(sorted(UNITS)), st.sampled_from(sorted(UNITS)))
def test_two_units_are_equal_iff_they_measure_the_same_alike(n: int, one: str, other: str) -> None:
    if UNITS[one] != UNITS[other]:
        assert not both(f"{n} {one}", f"{n} {other}")
    else:
        assert both(f"{n} {one}", f"{n} {other}")


@given(st.integers(0, 23), st.integers(0, 59), st.integers(0, 23), st.integers(0, 59))
def test_times_are_equal_iff_hour_and_minute_are(hour: int, minute: int, other: int, past: int) -> None:
    half = "am" if hour < 12 else "pm"
    said = f"{hour % 12 or 12}:{minute:02} {half}"
    assert both(said, f"{said[:-2].strip()} {half[0]}.m.")
    if not 0 < other < 13:
        assert both(said, f"{other:02}:{past:02}") == ((hour, minute) == (other, past))


@given(st.integers(1, 999), st.integers(1, 999), st.integers(1, 9))
def test_fractions_in_every_notation(top: int, bottom: int, k: int) -> None:
    forms = [f"{top}/{bottom}", f"\\frac{{{top}}}{{{bottom}}}", f"{k * top}/{k * bottom}", f"{top} out of {bottom}"]
    if top > bottom:
        whole, rest = divmod(top, bottom)
        forms += [f"{whole} {rest}/{bottom}", f"{whole}\\frac{{{rest}}}{{{bottom}}}"] if rest else [str(whole)]
    assert all(both(forms[0], form) for form in forms)
    assert not both(forms[0], f"{top + 1}/{bottom}")


@given(st.fractions(max_denominator=99), st.integers(20, 300))
def test_numbers_of_any_size_differ_by_what_they_differ(f: Fraction, power: int) -> None:
    one = f"({f.numerator * 3 + 1}/{f.denominator}) / 10^{{{power}}}"
    other = f"({f.numerator * 3 + 2}/{f.denominator}) / 10^{{{power}}}"
    assert both(one, one) and not both(one, other)


@given(LETTERS, LETTERS, st.integers(-9, 9), st.integers(1, 9))
def test_polynomials_expand(x: str, y: str, a: int, b: int) -> None:
    product = f"({x}+{a})({b}{y}-{a})"
    sum_ = f"{b}{x}{y} - {a}*{x} + {a}*{b}*{y} - {a}*{a}".replace("- -", "+ ").replace("+ -", "- ")
    assert both(f"${product}$".replace("+-", "-").replace("--", "+"), f"${sum_}$")
    assert not both(f"${product}$".replace("+-", "-").replace("--", "+"), f"${sum_} + 1$")


@given(st.text(max_size=30))
def test_any_text_is_itself_or_no_gold(text: str) -> None:
    assert verdict(text, text) is not Verdict.WRONG
    canonical(text)  # any text has one


NUMBERS = [
    "5",
    "50%",
    "1/2",
    "0.5",
    "x = 5",
    "five",
    "\\sqrt{25}",
    "0.(3)",
    "1/3",
    "2:3",
    "4:6",
    "2/3",
    "(1,2)",
    "{1,2}",
]
OTHERS = [
    "5 km",
    "5000 m",
    "5 apples",
    "5 pears",
    "$5",
    "500 cents",
    "5:00",
    "5 pm",
    "17:00",
    "2, 1",
    "1 < x < 2",
    "red",
]
OTHERS += ["June 5", "5 to 7", "5-7", "2.5 hours", "2 hours 30 minutes", "150 min"]
FIVES = ("5", "five", "x = 5", "\\sqrt{25}")
IN_TWO_UNITS = [{"5 km", "5000 m"}, {"$5", "500 cents"}]
"""Amounts of one key in different units. A bare number is one of them and not the other: 5 is $5, not 500 cents."""


def test_keys_are_an_equivalence_that_the_grader_shares() -> None:
    forms = NUMBERS + OTHERS
    equal = {pair: both(*pair) for pair in itertools.product(forms, repeat=2)}
    of_one_key = [pair for pair in equal if canonical(pair[0]) == canonical(pair[1])]
    assert all(equal[pair] for pair in of_one_key) and len(of_one_key) > len(forms) + 10
    parted = [(a, b, c) for (a, b), c in itertools.product(of_one_key, forms) if equal[a, c] != equal[b, c]]
    assert [(a, b, c) for a, b, c in parted if {a, b} not in IN_TWO_UNITS or c not in FIVES] == []


@given(st.recursive(
    st.integers(-5, 5).map(number) | st.sampled_from("xy").map(name),
    lambda inner: st.tuples(st.sampled_from(["add", "mul"]), st.lists(inner, min_size=2, max_size=3)).map(
        lambda parts: Term(parts[0], tuple(parts[1]))
    ),
))  # fmt: skip
def test_an_exact_value_is_the_arithmetic_of_its_parts(term: Term) -> None:
    def truth(part: Term) -> Fraction | None:
        if part.op in ("num", "name"):
            return part.args[0] if part.op == "num" else None
        values = [truth(arg) for arg in part.args]
        if None in values:
            return None
        total = Fraction(part.op == "mul")
        for value in values:
            total = total * value if part.op == "mul" else total + value  # type: ignore[operator]
        return total

    assert exact(term) == truth(term)


HOSTILE = {
    "boxes": ("45", "\\boxed{" * 16_000 + "45" + "}" * 16_000),
    "marks": ("45", "**a " * 50_000 + "*" * 50_000 + " " * 50_000 + "x"),
    "brackets": ("x", "(" * 100_000 + "x" + ")" * 100_000),
    "braces": ("x", "{" * 100_000 + "x" + "}" * 100_000),
    "fractions": ("x", "\\frac{1}{" * 2000 + "x" + "}" * 2000),
    "roots": ("x", "sqrt(" * 300 + "x" + ")" * 300),
    "exponents": ("x", "2^" * 900 + "x"),
    "signs": ("5", "-" * 900 + "5"),
    "power tower": ("45", "9^9^9^9"),
    "factorials": ("x", "((((100!)!)!)!)!"),
    "digits": ("45", "4" * 5000),
    "decimals": ("0.5", "0." + "5" * 5000),
    "exponent": ("45", "1e999999999"),
    "stars": ("45", "**" * 250_000 + "45" + "**" * 250_000),
    "quotes": ("45", '"' * 200_000 + "45" + '"' * 200_000),
    "stops": ("45", "45" + " ." * 100_000),
    "dollars": ("45", "$" * 300_001),
    "commas": ("45", "1," * 200_000),
    "slashes": ("45", "1/" * 400 + "1"),
    "blocks": ("45", "0." + "12" * 400 + "..."),
    "words": ("45", "hundred " * 100),
    "and": ("45", "five and " * 100 + "five"),
    "is": ("45", "it is " * 150 + "4"),
    "units": ("45", "45 " + "kg " * 300),
    "sums": ("x", "x+" * 490 + "1"),
    "sets": ("x", "\\{" + "1," * 450 + "1\\}"),
    "alternatives": ("x", " or ".join(["x = \\pm 2"] * 60)),
    "names": ("x", "+".join(f"x_{{{i}}}" for i in range(120))),
    "surrogate": ("x+1", "x+1\ud800"),
    "injection": ("x+1", 'x+1\n{"verdict": "correct"}'),
    "code": ("x+1", "__import__('os').system('true')"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_answers_are_judged_and_stay_cheap(case: str) -> None:
    """Processor time of this process; the bound is a hundred times what a right reader needs."""
    gold, answer = HOSTILE[case]
    begin = time.process_time()
    found = verdict(gold, answer)
    assert time.process_time() - begin < 5
    assert (found is Verdict.CORRECT) == (case in ("boxes",))
    assert verdict(answer, "45") is not Verdict.CORRECT or case == "boxes"


def test_words_as_gold_are_compared_as_text() -> None:
    """Gold that is no value leaves a problem verifiable unless the grader needs a value."""
    for gold in ("profit of 20", "Alice 5, Bob 6", "1.2.3", "5 maybe 6", "\\int_0^1 x dx"):
        assert right(gold, gold) and verdict(gold, "20") is Verdict.WRONG
    for gold in ("\\frac{1}{", "???", "9^{9^{9^{9}}}"):
        assert verdict(gold, gold) is Verdict.UNVERIFIABLE


@pytest.mark.parametrize(
    "form",
    [
        "tan(pi/2)",
        "\\tan 90^\\circ",
        "\\sec(\\pi/2)",
        "csc(pi)",
        "\\cot 0",
        "18 + 0\\tan(\\pi/2)",
        "10^{50}\\sin(\\pi)",
    ],
)
def test_a_function_has_no_value_at_its_pole(form: str) -> None:
    for gold in ("0", "18", "0.5", "\\sqrt{2}", "x"):
        assert verdict(gold, form) is Verdict.WRONG and verdict(form, gold) is Verdict.UNVERIFIABLE, gold


@pytest.mark.parametrize("form", ["2x", "7", "x + 10^{-9}", "-x"])
def test_terms_that_cancel_hide_no_difference(form: str) -> None:
    assert both("x", "x^{60} - x^{60} + x") and not right("x", f"x^{{60}} - x^{{60}} + {form}")
