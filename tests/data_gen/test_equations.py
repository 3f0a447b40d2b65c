"""Equations in text: what is found, what holds; placeholders for results, and filled in again."""

from __future__ import annotations

import operator
from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.equations import equations, holds, value
from data_gen.placeholders import abstracted, filled


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("so 12 + 5 = 17.", ["12 + 5 = 17"]),
        ("(2+3)*4=20, then 20/4 = 5", ["(2+3)*4=20", "20/4 = 5"]),
        ("2 * (3 + 5) = 16", ["2 * (3 + 5) = 16"]),
        ("$12 + $5 = $17", ["$12 + $5 = $17"]),
        ("1,200 + 5 = 1,205, and so on", ["1,200 + 5 = 1,205"]),
        ("- 12 + 5 = 17", ["12 + 5 = 17"]),
        ("he has (2 + 3 = 5) pens", ["2 + 3 = 5"]),
        ("-3 + 5 = 2", ["-3 + 5 = 2"]),
        ("[y1 - 3 = y2]", ["y1 - 3 = y2"]),
        ("2*3 = 6 + 1 = 7", []),  # which sides are meant?
        ("2 * 3 = 6 = 6", []),
        ("x - 5 + 2 = 4", []),
        ("12 + 5 = 17x", []),
        ("17 = 17", []),
        ("12 + 5 = ", []),
        ("3 apples + 4 = 7", []),
    ],
)
def test_equations_of_a_text(text: str, found: list[str]) -> None:
    assert [text[one.begin : one.end] for one in equations(text)] == found


@pytest.mark.parametrize("piece", [" ", "(", "1 ", "1+", "1,", "-", "1)", "(1", "1+1=2"])
def test_a_long_text_without_an_equation_is_read_in_linear_time(piece: str) -> None:
    """A search that is quadratic would take minutes."""
    assert len(list(equations(piece * 20_000))) <= 20_000


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("12 + 5 = 17", True),
        ("12 + 5 = 18", False),
        ("10 / 3 = 3.33", True),
        ("10 / 3 = 3", False),
        ("10 / 0 = 3", False),
        ("7 - 2 - 1 = 4", True),
        ("8 / 2 / 2 = 2", True),
        ("2 + 3 × 4 = 14", True),
        ("(2 + 3 = 5", True),
        ("2 * (3 + 5 = 16", False),
    ],
)
def test_whether_an_equation_holds(text: str, right: bool) -> None:
    [one] = equations(text)
    assert holds(one) is right


EXACT: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


@given(st.lists(st.tuples(st.sampled_from("+-*/"), st.integers(1, 99)), min_size=1, max_size=8), st.integers(0, 99))
def test_values_are_those_of_brackets_written_out(parts: list[tuple[str, int]], first: int) -> None:
    """((first op a) op b) ...: the value from left to right."""
    tokens, exact = [str(first)], Fraction(first)
    for sign, operand in parts:
        tokens = ["(", *tokens, sign, str(operand), ")"]
        exact = EXACT[sign](exact, Fraction(operand))
    assert value(tokens, {}) == exact


def test_results_become_placeholders_and_numbers_of_the_question_stay() -> None:
    made = abstracted(["12 + 5 = 17", "17 - 3 = 14", "14 + 14 = 28, so 28 / 7 = 4"], "12, 5, 3, 7, and twice")
    assert made is not None
    assert made.texts == ("[12 + 5 = y1]", "[y1 - 3 = y2]", "[y2 + y2 = y3], so [y3 / 7 = y4]")
    assert dict(made.values) == {"y1": 17, "y2": 14, "y3": 28, "y4": 4}


def test_a_number_of_the_question_stands_for_itself_unless_it_is_the_result_before() -> None:
    made = abstracted(["2 + 3 = 5", "5 + 5 = 10", "10 - 5 = 5"], "2, 3 and 5")
    assert made is not None
    assert made.texts == ("[2 + 3 = y1]", "[y1 + 5 = y2]", "[y2 - 5 = y3]")


@pytest.mark.parametrize("texts", [["12 + 5 = 18"], ["no equation"], ["12 / 0 = 1"], ["1 + 1 = 2", "so 2"]])
def test_what_cannot_be_solved_again_has_no_abstract_form(texts: list[str]) -> None:
    assert abstracted(texts, "") is None


@given(
    st.lists(st.tuples(st.sampled_from("+-*"), st.integers(1, 60)), min_size=1, max_size=6),
    st.integers(0, 60),
    st.lists(st.integers(0, 60), max_size=4),
)
def test_what_is_filled_in_again_is_what_was_said(parts: list[tuple[str, int]], first: int, stated: list[int]) -> None:
    """A chain in which every step uses the result before, whatever the question states."""
    texts, at = [], Fraction(first)
    for sign, operand in parts:
        after = EXACT[sign](at, Fraction(operand))
        if after < 0:
            break
        texts.append(f"{at} {sign} {operand} = {after}")
        at = after
    made = abstracted(texts, " ".join(map(str, stated)))
    assert made is not None
    assert filled("\n".join(made.texts)) == "\n".join(texts)
    assert len(made.values) == len(texts)


@pytest.mark.parametrize(
    "text", ["[y1 + 2 = y2]", "[1 + 2 = y1]\n[2 + 2 = y1]", "[1 / 0 = y1]", "y1", "[1 + 1 = y1]\nAnswer: y2"]
)
def test_what_a_tool_cannot_solve(text: str) -> None:
    assert filled(text) is None


def test_what_is_no_placeholder_stays() -> None:
    assert filled("Say y and 3 + 4 = 7 and [a]: [3 / 8 = y1]") == "Say y and 3 + 4 = 7 and [a]: 3 / 8 = 0.375"


def test_the_bullet_of_the_next_line_is_no_sign() -> None:
    found = list(equations("- 12 + 5 = 18\n- 17 - 3 = 14"))
    assert [(one.left, one.right) for one in found] == [(("12", "+", "5"), "18"), (("17", "-", "3"), "14")]
    assert list(equations("12 + 5 = 17\n= 10 + 7")) == []  # a chain over two lines
