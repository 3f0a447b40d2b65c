"""`answers`: several answers of one problem, in order or not, by letters, and within tolerances of rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.graders.answers import SeveralAnswers
from data_gen.grading.parts import most_pairs, split_outside_brackets
from data_gen.records.problem import Problem
from data_gen.records.verdict import Answer, Grade, Verdict
from data_gen.tasks import TASKS


def graded(gold: str, said: str, payload: str = "", **options: Any) -> Grade:
    problem = Problem(id="p", question="q", gold=gold, group="p", split="test", payload=payload)
    return SeveralAnswers(**options).grade(problem, Answer(said))


@pytest.mark.parametrize(
    ("gold", "said", "share"),
    [
        ("24;112", "24;112", 1),
        ("24;112", "24；112", 1),
        ("24;112", "The answer is 24, 112", 1),
        ("24;112", "112;24", 0),
        ("24;112", "24;113", 0.5),
        ("24;112", "24", 0),
        ("24;112", "24;112;0", 0),
        ("$5$;$10$", "$a_1 = 5$, $10$", 1),
        ("$5$;$10$", "$5; 10$", 1),
        ("0;3", "0 and 3", 1),
        ("0;3;5", "0, 3, and 5", 1),
        (r"1;$-\sqrt{2}$", r"1; -\sqrt2", 1),
        (r"5;$720-\frac{15(3+n)}{2^{n-4}}$", r"5; 720-\frac{15(n+3)}{2^{n-4}}", 1),
        (r"$\left(3,0\right)$;$\sqrt{3}$", r"(3,0), \sqrt{3}", 1),
        ("1,000", "1000", 1),
        ("red;blue", "Red; blue.", 1),
        ("red;blue", "blue; red", 0),
    ],
)
def test_blanks_are_compared_in_order(gold: str, said: str, share: float) -> None:
    found = graded(gold, said)
    assert (found.score, found.verdict) == (share, Verdict.CORRECT if share == 1 else Verdict.WRONG)


@pytest.mark.parametrize(
    ("gold", "said", "right"),
    [
        ("1,3,5", "5, 1 and 3", True),
        ("1,3,5", "5,1,3", True),
        ("1,3,5", "1,3", False),
        ("1,3,5", "1,3,5,7", False),
        ("2,-2", r"\pm 2", True),
        ("$(1,8,19), (2,7,13)$", "(2,7,13),(1,8,19)", True),
        ("$(1,8,19), (2,7,13)$", "(2,7,13),(1,19,8)", False),
        (r"(-\infty,-5)", r"(-\infty, -5)", True),
        (r"$8$,$4$", "4,8", True),
        (r"$8$,$4$", "8,8", False),
    ],
)
def test_several_answers_in_any_order(gold: str, said: str, right: bool) -> None:
    found = graded(gold, said, separator=",", ordered=False).verdict
    assert found is (Verdict.CORRECT if right else Verdict.WRONG)


@pytest.mark.parametrize(("said", "right"), [("ABD", True), ("D, B and A", True), ("AB", False), ("ABCD", False)])
def test_letters_pick_all_of_their_options(said: str, right: bool) -> None:
    assert (graded("ABD", said, letters=True).verdict is Verdict.CORRECT) == right
    assert (graded("A B D", said, letters=True).verdict is Verdict.CORRECT) == right


@pytest.mark.parametrize(
    ("payload", "said", "verdict"),
    [
        ({"tolerance": "1e-1"}, "1.55", Verdict.CORRECT),
        ({"tolerance": 0.1}, "1.65", Verdict.WRONG),
        ({"tolerance": "0.01,0.2"}, "1.65", Verdict.CORRECT),
        ({"tolerance": None}, "1.55", Verdict.WRONG),
        ({}, "1.55", Verdict.WRONG),
        ({"tolerance": "about"}, "1.5", Verdict.UNVERIFIABLE),
        ({"tolerance": -1}, "1.5", Verdict.UNVERIFIABLE),
        ({"tolerance": "nan"}, "1.5", Verdict.UNVERIFIABLE),
    ],
)
def test_a_row_brings_its_tolerance(payload: dict[str, Any], said: str, verdict: Verdict) -> None:
    assert graded("1.5", said, json.dumps(payload)).verdict is verdict


@pytest.mark.parametrize("own", [0, 0.0, "0"])
def test_a_row_may_bring_a_tolerance_of_zero(own: Any) -> None:
    assert graded("1.5", "1.55", "", tolerance=0.1).verdict is Verdict.CORRECT
    assert graded("1.5", "1.55", json.dumps({"tolerance": own}), tolerance=0.1).verdict is Verdict.WRONG


def test_a_tolerance_of_a_row_comes_from_its_column(tmp_path: Path) -> None:
    rows = [
        {"question": "How long?", "answer": "1.5", "error": "1e-1", "other": "2", "proof": ["a", "b"]},
        {"question": "How wide?", "answer": "", "error": None, "other": "1.5", "proof": []},
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    fields = {"payload": {"tolerance": "error"}, "answer_else": "other", "tags": {"sentences": "proof.#"}}
    settings = {"path": file, "grader": "answers", "split": {"test": None}, "fields": fields}
    task = TASKS.get("jsonl").model_validate({"uses": "jsonl", **settings})
    long, wide = task.problems("test")
    assert [(p.gold, p.payload, p.tags) for p in (long, wide)] == [
        ("1.5", '{"tolerance": "1e-1"}', {"sentences": "2"}),
        ("1.5", "", {"sentences": "0"}),
    ]
    assert [task.grade(p, Answer("1.55")).verdict for p in (long, wide)] == [Verdict.CORRECT, Verdict.WRONG]
    assert task.same(long, "1.55", "1.5") and not task.same(wide, "1.55", "1.5")


@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=3))
def test_most_pairs_is_what_enumeration_finds(fits: list[list[bool]]) -> None:
    def best(row: int, free: frozenset[int]) -> int:
        if row == len(fits):
            return 0
        taken = (1 + best(row + 1, free - {column}) for column in free if fits[row][column])
        return max([best(row + 1, free), *taken])

    assert most_pairs(fits) == best(0, frozenset(range(3)))


@given(st.text("a;([)] ", max_size=12))
def test_dividing_loses_nothing_but_separators_and_space(text: str) -> None:
    found = split_outside_brackets(text, ";")
    assert "".join("".join(found).split()).replace(";", "") == "".join(text.split()).replace(";", "")
