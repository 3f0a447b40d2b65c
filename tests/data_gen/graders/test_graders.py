"""Graders but for `auto`: by hand, by property, and their shared rule about gold and answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.graders import GRADERS
from data_gen.records.problem import Problem
from data_gen.records.verdict import Answer, Grade, Verdict

PLAIN = [name for name in GRADERS.names() if name != "generator"]
VALUES = st.recursive(st.integers(-99, 99) | st.text("ab 0.,", max_size=4), lambda inner: st.lists(inner, max_size=3))


def grade(uses: str, gold: str | None, answer: str | None, choices: tuple[str, ...] = (), **options: Any) -> Grade:
    problem = Problem(id="p", question="q", gold=gold, group="p", split="test", choices=choices)
    return GRADERS.get(uses).model_validate({"uses": uses, **options}).grade(problem, Answer(answer))


def right(uses: str, gold: str, answer: str, **options: Any) -> bool:
    found = grade(uses, gold, answer, **options)
    assert found.verdict is not Verdict.UNVERIFIABLE
    return found.verdict is Verdict.CORRECT


@pytest.mark.parametrize("name", GRADERS.names())
def test_whether_answers_are_the_same_does_not_depend_on_which_is_right(name: str) -> None:
    """The answers are gold in turn, and so is the entry by which `generator` scores."""
    answers = ["1", "1.0", "B", "no", "[1, 2]", "7", "seven"]
    grader, found = GRADERS.get(name).model_validate({"uses": name}), set()
    for gold in answers:
        entry = {"generator": "chain_sum", "config": {}, "answer": gold, "metadata": {}}
        problem = Problem(id="p", question="q", gold=gold, group="p", split="test", payload=json.dumps(entry))
        found.add(tuple(grader.same(problem, a, b) for a in answers for b in answers))
    assert len(found) == 1


def test_the_generators_answers_are_the_same_as_texts_or_numbers() -> None:
    problem = Problem(id="p", question="q", gold="3", group="p", split="test", payload="{}")
    same = GRADERS.get("generator").model_validate({"uses": "generator"}).same
    assert same(problem, "1  2\n3", "1 2 3") and same(problem, "4", "4.0") and same(problem, "$x$", "x")
    assert not same(problem, "3", "4") and not same(problem, "ab", "aB") and not same(problem, "12", "1 2")


@pytest.mark.parametrize("name", ["integer", "list", "set"])
def test_an_answer_of_more_digits_than_python_reads_is_wrong(name: str) -> None:
    for answer in ("7" * 5000, f"[{'7' * 5000}]", "-" + "7" * 5000):
        assert grade(name, "7", answer).verdict is Verdict.WRONG


def test_an_integer_may_have_the_minus_sign_of_typography() -> None:
    assert right("integer", "-5", "\u22125") and right("integer", "\u22125", "-5")
    assert not right("integer", "5", "\u22125") and not right("integer", "-5", "-\u22125")


@pytest.mark.parametrize("name", PLAIN)
def test_only_gold_makes_a_problem_unverifiable(name: str) -> None:
    assert grade(name, None, "1") == Grade(Verdict.UNVERIFIABLE, "no_gold")
    assert grade(name, " ", "1") == Grade(Verdict.UNVERIFIABLE, "bad_gold")
    gold = {"choice": "B", "yes_no": "no", "label": "no"}.get(name, "12")
    assert grade(name, gold, gold).verdict is Verdict.CORRECT
    for answer in (None, "", " ", "???", "\\frac{1}{", "[" * 3000, "Fish & chips"):
        assert grade(name, gold, answer).verdict is Verdict.WRONG, answer


@pytest.mark.parametrize(
    ("name", "gold"),
    [("integer", "1.5"), ("numeric", "many"), ("math", "a word"), ("choice", "bank"), ("yes_no", "perhaps")],
)
def test_gold_of_another_kind_cannot_be_read(name: str, gold: str) -> None:
    assert grade(name, gold, gold) == Grade(Verdict.UNVERIFIABLE, "bad_gold")


@pytest.mark.parametrize(
    ("answer", "options", "verdict"),
    [
        ("3.14", {}, "wrong"),
        ("3.1416", {"tolerance": 1e-3}, "correct"),
        ("3.14", {"tolerance": 1e-3}, "wrong"),
        ("3.14", {"relative": 1e-3}, "correct"),
        ("about 3.1416", {"tolerance": 1e-3}, "correct"),
        ("3.1416 or 3", {"tolerance": 1e-3}, "wrong"),
        ("-3.1416", {"tolerance": 1e-3}, "wrong"),
    ],
)
def test_numbers_within_a_tolerance(answer: str, options: dict[str, float], verdict: str) -> None:
    assert grade("numeric", "3.14159", answer, **options).verdict == verdict


@given(st.integers(-1000, 1000), st.integers(-1000, 1000), st.integers(0, 50))
def test_a_tolerance_is_a_distance(gold: int, answer: int, tolerance: int) -> None:
    assert right("numeric", str(gold), str(answer), tolerance=tolerance) == (abs(gold - answer) <= tolerance)


@pytest.mark.parametrize(
    ("gold", "answer", "verdict"),
    [
        ("AD", "AD", "correct"),
        ("AD", "D, A", "correct"),
        ("AD", "A and D", "correct"),
        ("A B D", "(A)(B)(D)", "correct"),
        ("AD", "A", "wrong"),
        ("AD", "ABD", "wrong"),
        ("A", "AD", "wrong"),
        ("L", "L. 42", "correct"),
        ("B", "The answer is (B) 150 m", "correct"),
        ("B", "A. 3 B. 4", "wrong"),
    ],
)
def test_letters_all_of_them_and_no_other(gold: str, answer: str, verdict: str) -> None:
    assert grade("choice", gold, answer).verdict == verdict


def test_the_text_of_the_right_option_picks_it() -> None:
    options = ("bay", "West Bank", "bank")
    said = [grade("choice", "B", text, choices=options) for text in ("west bank.", "bank", "bay")]
    assert [(g.verdict, g.reason) for g in said] == [
        (Verdict.CORRECT, "option_text"),
        (Verdict.WRONG, "choice"),
        (Verdict.WRONG, "choice"),
    ]
    assert grade("auto", "C", "bank", choices=options).verdict is Verdict.CORRECT


@pytest.mark.parametrize(
    ("gold", "answer", "score"),
    [
        ('["a", "b", "c"]', "['a', 'b', 'c']", 1.0),
        ('["a", "b", "c"]', "a, b, c", 1.0),
        ('["a", "b", "c"]', "[a, b]", 2 / 3),
        ('["a", "b", "c"]', '["a", "c", "b"]', 1 / 3),
        ('["itstb"]', '["bitts"]', 0.0),  # an anagram
        ('["a", ""]', '["a", ""]', 1.0),
        ("[]", "[]", 1.0),
        ("[]", '[""]', 0.0),
        ("[1, 2.5]", "1.0, 2.50", 1.0),
        ('["007"]', "[7]", 0.0),
        ('["7"]', "[7]", 1.0),
        ("[[1, 2], [3]]", "[[1, 2], [3]]", 1.0),
        ("[[1, 2], [3]]", "[1, 2, 3]", 0.0),
        ('["Ab"]', '["ab"]', 0.0),
        ("[1]", "it is one", 0.0),
    ],
)
def test_lists_in_order_with_the_share_that_agrees_from_the_front(gold: str, answer: str, score: float) -> None:
    found = grade("list", gold, answer)
    assert found.score == pytest.approx(score)
    assert (found.verdict is Verdict.CORRECT) == (score == 1.0)


def test_blanks_between_semicolons() -> None:
    assert right("list", "24;112", "24; 112", separator=";") and not right("list", "24;112", "112;24", separator=";")
    assert right("set", "24;112", "112;24", separator=";")


@pytest.mark.parametrize(
    ("gold", "answer", "score"),
    [
        ("[1, 2, 3]", "3, 2, 1", 1.0),
        ("[1, 2, 3]", "1, 2", 2 / 3),
        ("[1, 2]", "1, 2, 3, 4", 0.5),
        ("[1, 1]", "1", 1.0),
        ("[]", "[]", 1.0),
    ],
)
def test_sets_in_any_order_with_the_share_of_all(gold: str, answer: str, score: float) -> None:
    found = grade("set", gold, answer)
    assert (found.score, found.verdict is Verdict.CORRECT) == (pytest.approx(score), score == 1.0)


@given(st.lists(VALUES, max_size=4), st.randoms())
def test_any_list_is_itself_and_any_order_is_the_same_set(values: list[Any], rng: Any) -> None:
    shuffled = rng.sample(values, len(values))
    gold = json.dumps(values)
    assert grade("list", gold, gold) == Grade(Verdict.CORRECT, "list", 1.0)
    assert grade("set", gold, json.dumps(shuffled)).verdict is Verdict.CORRECT


@given(st.lists(st.integers(0, 3), max_size=4), st.lists(st.integers(0, 3), max_size=4))
def test_lists_and_sets_of_numbers_against_the_truth(gold: list[int], said: list[int]) -> None:
    assert right("list", json.dumps(gold), json.dumps(said)) == (gold == said)
    assert right("set", json.dumps(gold), json.dumps(said)) == (set(gold) == set(said))


def test_a_score_follows_from_the_verdict_unless_given() -> None:
    grades = [Grade(verdict, "x").score for verdict in Verdict]
    assert grades == [1.0, 0.0, None]
    assert Grade(Verdict.WRONG, "x", 0.4).score == 0.4
