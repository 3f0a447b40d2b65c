"""Where answers are found: each way by hand, in a Format, and from a plug-in."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from data_gen.extractors import EXTRACTORS, Extractor
from data_gen.extractors.code_block import CodeBlock
from data_gen.extractors.json import Json
from data_gen.extractors.last_number import LastNumber
from data_gen.extractors.mark import AnswerMark
from data_gen.extractors.regex import Regex
from data_gen.extractors.whole import Whole
from data_gen.format import Format, TaskFormat

CODE = "Try:\n```\nx\n```\nthen\n```Python\n  def f():\n    return 1\n```\ndone"


@pytest.mark.parametrize(
    ("way", "text", "found"),
    [
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
        (LastNumber(), "we get x = −5", "−5"),
        (LastNumber(), "It is 3-5", "5"),
        (LastNumber(), "it is .5", ".5"),
        (LastNumber(), "v1.5 of 2 -3", "-3"),
    ],
)
def test_each_way_by_hand(way: Extractor, text: str, found: str | None) -> None:
    assert way.find(text, "Answer: ") == found


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
