"""Overlap of texts: by hand, for languages without spaces, and as properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.overlap import N, grams, overlapping, whole, words

CHINESE = "小明有三个苹果，他又买了五个苹果，请问现在一共有多少个苹果？"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ana has 12 coins.", ["ana", "has", "12", "coins"]),
        ("小明有3个", ["小", "明", "有", "3", "个"]),
        ("カタカナ ひらがな", [*"カタカナひらがな"]),
        ("มีกี่", [*"มีกี่"]),
        ("사과가 몇 개", ["사과가", "몇", "개"]),
        ("क्या है", ["क्या", "है"]),
        ("１２ ﬁnd Ⅳ", ["12", "find", "iv"]),
        ("STRASSE straße", ["strasse", "strasse"]),
        ("a_b+c", ["a", "b", "c"]),
        ("+ - ?", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_short_questions_of_signs_differ() -> None:
    assert whole("5 + 3?") == whole(" 5+3 ") != whole("5 - 3?")
    assert whole("?!") != whole("!?") and grams("")
    assert overlapping({"a": "5 + 3?"}, ["5 - 3?"], N) == set()


@pytest.mark.parametrize(
    ("held_out", "other", "overlaps"),
    [
        (CHINESE, f"题目：{CHINESE}谢谢", True),
        (CHINESE, CHINESE.replace("苹果", "梨"), False),
        (CHINESE, "他又买了五个苹果", False),
        ("小明有几个?", "小明有几个？", True),
        ("one two three four five six seven eight nine ten eleven twelve thirteen", "ZERO one, two three four five six "
         "seven eight nine ten eleven twelve; thirteen!", True),
        ("one two three four five six seven eight nine ten eleven twelve thirteen", "one two three four five six seven "
         "eight nine ten eleven twelve fourteen", False),
    ],
)  # fmt: skip
def test_overlap_by_runs_of_words(held_out: str, other: str, overlaps: bool) -> None:
    assert overlapping({"it": held_out}, [other], N) == ({"it"} if overlaps else set())


def test_by_whole_texts_only_the_same_counts() -> None:
    held_out = {"a": "How many has Ana?", "b": "How many has Ben?"}
    assert overlapping(held_out, ["how many has ANA", "How many has Ben and Ana?"], None) == {"a"}


@given(st.text(), st.text(), st.sampled_from([None, 4, N]))
def test_a_text_overlaps_with_itself_and_both_ways_alike(one: str, other: str, n: int | None) -> None:
    assert overlapping({"it": one}, [one], n) == {"it"}
    assert overlapping({"it": one}, [other], n) == overlapping({"it": other}, [one], n)
    assert overlapping({"it": one.upper()}, [one.lower()], n) == overlapping({"it": one.lower()}, [one.upper()], n)
