"""Where answers are found: each way by hand, in a Format, and from a plug-in."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from data_gen.extractors import EXTRACTORS, Extractor
from data_gen.extractors.boxed import Boxed
from data_gen.extractors.code_block import CodeBlock
from data_gen.extractors.json import Json
from data_gen.extractors.last_number import LastNumber
from data_gen.extractors.mark import AnswerMark
from data_gen.extractors.regex import Regex
from data_gen.extractors.whole import Whole
from data_gen.format import Format, TaskFormat
from data_gen.marks import Mark, Marks

CODE = "Try:\n```\nx\n```\nthen\n```Python\n  def f():\n    return 1\n```\ndone"


FOUND: list[tuple[Extractor, str, str | None]] = [
    (AnswerMark(mark="#### "), "a #### 5\nAnswer: 7", "5"),
    (AnswerMark(), "a #### 5\nAnswer: 7", "7"),
    (Regex(pattern=r"x = (\d+)"), "x = 1, x = 2", "2"),
    (Regex(pattern=r"x = (\d+)", which="first"), "x = 1, x = 2", "1"),
    (Regex(pattern=r"(?i)YES|(no)"), "yes and no", "no"),
    (Regex(pattern=r"\d*"), "none", None),
    (Json(), 'so {"a": [1, 2]} and [3', '{"a": [1, 2]}'),
    (Json(), "[1] then [2, []]", "[2, []]"),
    (Json(field="a.b"), '{"a": {"b": "x y"}} {"c": 1}', "x y"),
    (Json(field="a"), '{"a": null}', None),
    (Json(), "[" * 5000, None),
    (CodeBlock(), CODE, "  def f():\n    return 1"),
    (CodeBlock(language="python"), CODE, "  def f():\n    return 1"),
    (CodeBlock(language="c"), CODE, None),
    (CodeBlock(), "```\nnever closed", None),
    (Whole(), " a\nb ", "a\nb"),
    (Whole(), " \n", None),
    (Boxed(), "\\boxed{1} or \\fbox {\\{1, 2\\}}", "\\{1, 2\\}"),
    (Boxed(), "\\boxed{\\left\\{ x \\right.}", "\\left\\{ x \\right."),
    (Boxed(), "\\boxed{1} \\boxed{2", None),
]
LAST_NUMBERS = [
    ("we get x = −5", "-5"),
    ("It takes 3–5 hours", "5"),
    ("10 - 3", "3"),
    ("-$1,000.50", "-1,000.50"),
    ("so it is -\\frac{3}{4}", "-3/4"),
    ("so it is \\dfrac34", "3/4"),
    ("3\\frac{1}{2} cups", "3 1/2"),
    ("it is 1 1/2", "1 1/2"),
    ("about 1½ or ½", "1/2"),
    ("1½", "1 1/2"),
    ("in all 1.5 million", "1500000"),
    ("$1.5 million", "1500000"),
    ("it costs $3k", "3000"),
    ("a debt of -$2.5M in all", "-2500000"),
    ("about $1.5bn", "1500000000"),
    ("it weighs 3k", "3"),
    ("$3m", "3"),
    ("it is 5%", "5%"),
    ("a rise of 2.5 \\%.", "2.5%"),
    ("is 3 per cent of it", "3%"),
    ("from 10%-5%", "5%"),
    ("17 % 5", "5"),
    ("**Answer: 5**", "5"),
    ("1.2345 thousand", "1234.5"),
    ("1/3 million", "1000000/3"),
    ("a = 2,3", "3"),
    ("1,234,567", "1,234,567"),
    ("at 3:45", "3:45"),
    ("3 \\times 10^{-5}", "3 \\times 10^{-5}"),
    ("２３", "23"),
    ("none", None),
    ("It is 3-5", "5"),
    ("it is .5", ".5"),
    ("v1.5 of 2 -3", "-3"),
    ("1{,}000", "1,000"),
    ("$12\\,345{,}678$", "12,345,678"),
    ("1\u202f234", "1,234"),
    ("The area is 5 cm^2", "5"),
    ("so 12 \\text{ m}^{2}", "12"),
    ("5 m²", "5"),
    ("as x_1 = 4 and x_{2}", "4"),
    ("we have x^2", None),
    ("that is 2^{10}", "2^{10}"),
    ("that is 2⁵", "2^{5}"),
    ("3×10⁸", "3×10^{8}"),
    ("in base two 101_2", "101_2"),
    ("0.1\\overline{6}", "0.1\\overline{6}"),
    ("use version 3.10.2.", "3.10.2"),
    ("on 2024-03-05", "2024-03-05"),
    ("on 3/5/2024", "3/5/2024"),
    ("The answer is minus 5", "-5"),
    ("10 minus 5", "5"),
    ("it fell to negative 2.5", "-2.5"),
    ("all of it \u2014 7", "7"),
    ("all of it \u20147", "7"),
]


def test_each_way_by_hand() -> None:
    cases = [*FOUND, *((LastNumber(), text, found) for text, found in LAST_NUMBERS)]
    told = [(way, text, found, way.find(text, "Answer: ")) for way, text, found in cases]
    assert [case for case in told if case[2] != case[3]] == []


def test_a_format_tries_its_ways_in_order_and_travels_as_data() -> None:
    extract = ["boxed", {"uses": "regex", "pattern": "is (.*)"}, "last_number"]
    made = TaskFormat.model_validate({"extract": extract})
    assert [made.extract_answer(text) for text in ("\\boxed{1} is 2", "it is two", "3", "none")] == [
        "1",
        "two",
        "3",
        None,
    ]
    assert Format.model_validate_json(Format(task=made).model_dump_json()).task == made


def test_a_pattern_that_does_not_compile_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"not a regular expression of Python: .*; got '\('"):
        Regex(pattern="(")


def test_the_names() -> None:
    assert {"mark", "boxed", "last_number", "regex", "json", "code_block", "whole"} <= set(EXTRACTORS.names())


@given(st.recursive(st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_any_json_behind_any_words_is_found_again(value: object) -> None:
    whole = {"answer": value}
    assert json.loads(Json().find(f"The state is {json.dumps(whole)}.", "") or "") == whole


@given(
    st.fractions(min_value=-(10**6), max_value=10**6, max_denominator=10**4),
    st.sampled_from(["{}", "so {}.", "$x = {}$"]),
)
def test_the_last_number_is_found_however_it_is_written(value: Fraction, around: str) -> None:
    top, bottom = value.numerator, value.denominator
    sign = "-" if top < 0 else ""
    for written in (
        f"{top}/{bottom}",
        f"{sign}\\frac{{{abs(top)}}}{{{bottom}}}",
        f"{sign}{abs(top):,}",
        f"−{abs(top)}",
    ):
        found = LastNumber().find(f"1 or 2: {around.format(written)}", "")
        wanted = (
            Fraction(-abs(top)) if "−" in written else value if "frac" in written or "/" in written else Fraction(top)
        )
        assert found is not None and Fraction(found.replace(",", "")) == wanted, written


TWO = ("mark", "boxed", "last_number")
THOUGHTS = [
    ("<think>\nTry Answer: 12\nNo.\n</think>\nThe result is 7.", "7"),
    ("<think>\\boxed{12}? No.</think>\nThe result is 7", "7"),
    ("Answer: 12?\nNo.</think>Answer: 7", "7"),  # the prompt opened the thoughts
    ("Answer: 7\n<think>or Answer: 12", "7"),  # thoughts that never end
    ("<think>Answer: 12", None),
    ("Answer: 12</think>", None),
    ("Answer: 7", "7"),
]


@pytest.mark.parametrize("mark", [None, ("<think>", "</think>"), ("[mull]", "[done]")])
@pytest.mark.parametrize(("text", "found"), THOUGHTS)
def test_no_answer_is_read_from_thoughts(mark: tuple[str, str] | None, text: str, found: str | None) -> None:
    marks = Marks() if mark is None else Marks(think=Mark(open=mark[0], close=mark[1]))
    if mark is not None:
        text = text.replace("<think>", mark[0]).replace("</think>", mark[1])
    assert TaskFormat(extract=TWO, marks=marks).extract_answer(text) == found


@pytest.mark.parametrize(
    "piece",
    [
        "<think>",
        "</think>",
        "1 ",
        "1,",
        "\\boxed{",
        "\\frac{",
        "1/",
        "-",
        "$",
        "1.",
        "x^{",
        "1^",
        "1_",
        "1:11",
        "minus ",
    ],
)
def test_long_completions_are_read_in_time_that_grows_with_their_length(piece: str) -> None:
    """A million characters would take hours if each piece looked at all others."""
    assert (TaskFormat(extract=TWO).extract_answer(piece * (10**6 // len(piece))) or "")[:1] in "1"
