"""Transforms that make other rows of a solution, by hand: `noise`, `views`, `transitions`, `edit_steps`, `stage`,
`abstract`, `enrich`, `faithful`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.placeholders import filled
from data_gen.records.solution import Solution
from data_gen.records.verdict import Verdict
from data_gen.transforms.views import put
from tests.data_gen.transforms.test_forms import QUESTION, ROW, told
from tests.data_gen.transforms.test_transforms import made, worked
from tests.reasoning_train.bench import problem

CHAIN = told(("step", "12 + 5 = 17\n"), ("step", "17 - 3 = 14\n"), ("answer", "Answer: 14"))


def texts(config: dict[str, Any], *rows: Solution) -> list[str]:
    return [row.text for row in made(config, rows or [CHAIN])]


def test_the_rate_of_noise_is_that_of_rows() -> None:
    """6,000 rows of two steps, a rate of 0.2: within 4.5 standard deviations, and one wrong number each."""
    found = made({"uses": "noise", "rate": 0.2}, [replace(CHAIN, sample=i) for i in range(6000)])
    wrong = [row for row in found if row.tags["noise"] == "1"]
    assert abs(len(wrong) - 1200) < 4.5 * (6000 * 0.2 * 0.8) ** 0.5
    assert {row.tags["noise"] for row in found} == {"0", "1"}
    for row in found:
        differs = [one.text for one, other in zip(row.segments, CHAIN.segments, strict=True) if one.text != other.text]
        assert len(differs) == (row.tags["noise"] == "1")
        assert all(text.startswith(("12 + 5 = ", "17 - 3 = ")) and len(text) == 12 for text in differs)


def test_noise_on_every_segment_and_on_words() -> None:
    config = {"uses": "noise", "rate": 1, "each": "segment", "kinds": ["step", "answer"]}
    [one] = made(config, [CHAIN])
    assert one.tags["noise"] == "3"
    assert all(new.text != old.text for new, old in zip(one.segments, CHAIN.segments, strict=True))
    words = {"uses": "noise", "rate": 1, "words": ["Ana", "Ben"]}
    row = told(("step", "Ana asks Ben, not Bent\n"), ("answer", "Ben"), answer="Ben")
    assert texts(words, row) == ["Ana asks Ana, not Bent\nBen"]
    [kept] = made(words, [CHAIN])
    assert (kept.segments, kept.tags["noise"]) == (CHAIN.segments, "0")


@given(st.integers(0, 9999), st.integers(0, 20))
def test_a_wrong_number_has_as_many_digits(number: int, seed: int) -> None:
    row = told(("step", f"It is {number}\n"), answer="1")
    [one] = made({"uses": "noise", "rate": 1}, [row], seed)
    said = one.text.split()[-1]
    assert said != str(number) and len(said) == len(str(number)) == len(str(int(said)))


def test_views_of_one_solution() -> None:
    views = {
        "answer": {"tell": ["answer"]},
        "chain": {"tell": ["step"], "template": "Only steps: {question}"},
        "rest": {"show": ["step"]},
        "asked": {"show": ["step"], "tell": ["answer"], "template": "{shown}\n{question}"},
        "code": {"show": ["code"]},
    }
    found = made({"uses": "views", "views": views}, [replace(CHAIN, steps_ok=True, prompt_ids=(1,))])
    steps = "12 + 5 = 17\n17 - 3 = 14"
    assert [(row.tags["views"], row.question, row.text) for row in found] == [
        ("answer", QUESTION, "Answer: 14"),
        ("chain", f"Only steps: {QUESTION}", f"{steps}\n"),
        ("rest", f"{QUESTION}\n{steps}", "Answer: 14"),
        ("asked", f"{steps}\n{QUESTION}", "Answer: 14"),
    ]
    assert {(row.verdict, row.answer) for row in found} == {(CHAIN.verdict, "14")}
    assert [bool(row.prompt_ids) for row in found] == [True, False, False, False]


@pytest.mark.parametrize(
    ("history", "last"), [(1, "17 - 3 = 14"), (2, "12 + 5 = 17\n17 - 3 = 14"), (0, "12 + 5 = 17\n17 - 3 = 14")]
)
def test_one_row_a_step(history: int, last: str) -> None:
    found = made({"uses": "transitions", "history": history}, [ROW])
    expected = [
        (QUESTION, "Ben: 12 + 5 = 17"),
        (f"{QUESTION}\nBen: 12 + 5 = 17", "Cy: 17 - 3 = 14"),
        (f"{QUESTION}\n{last.replace('12', 'Ben: 12').replace('17 -', 'Cy: 17 -')}", "Answer: 14"),
    ]
    assert [(row.question, row.text) for row in found] == expected


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"merge": 2}, "step 0 step 1\nstep 2 step 3\nstep 4\nAnswer: 12"),
        ({"merge": 9, "joiner": ", "}, "step 0, step 1, step 2, step 3, step 4\nAnswer: 12"),
        ({"every": 2}, "step 0\nstep 2\nstep 4\nAnswer: 12"),
        ({"every": 3}, "step 1\nstep 4\nAnswer: 12"),
        ({"split": " "}, "".join(f"step\n{i}\n" for i in range(5)) + "Answer: 12"),
        ({"expand": ["Is {step} right?"]}, "".join(f"step {i}\nIs step {i} right?\n" for i in range(5)) + "Answer: 12"),
    ],
)
def test_more_and_fewer_steps(config: dict[str, Any], text: str) -> None:
    [one] = made({"uses": "edit_steps", **config}, [worked(5)])
    assert one.text == text
    assert (one.steps_ok, one.step_labels, one.token_ids) == (None, (), ())
    assert len(one.steps) == text.count("\n")


def test_the_parts_of_a_curriculum() -> None:
    assert texts({"uses": "stage", "upto": ["plan"]}, ROW, CHAIN) == ["Hm.\nPlan: + -\n"]
    assert texts({"uses": "stage", "upto": ["step"]}, ROW)[0].endswith("Cy: 17 - 3 = 14\n")
    rows = [replace(worked(n), sample=n) for n in range(6)]
    assert [row.sample for row in made({"uses": "stage", "least": 2, "most": 4}, rows)] == [2, 3, 4]
    assert made({"uses": "stage", "most": 9}, rows) == rows


def test_an_abstract_solution_is_solved_to_what_it_was() -> None:
    [one] = made({"uses": "abstract"}, [CHAIN])
    assert one.text == "[12 + 5 = y1]\n[y1 - 3 = y2]\nAnswer: y2"
    assert (one.answer, one.verdict) == ("14", CHAIN.verdict)
    assert filled(one.text) == CHAIN.text


@pytest.mark.parametrize(
    ("steps", "answer"), [(["12 + 5 = 17"], "14"), (["12 + 5 = 18"], "18"), ([], "14"), (["12 + 5 = 17"], "Ben")]
)
def test_what_solving_does_not_give_back_has_no_abstract_form(steps: list[str], answer: str) -> None:
    row = told(*(("step", step + "\n") for step in steps), ("answer", answer), answer=answer)
    assert texts({"uses": "abstract"}, row) == []


def test_a_plan_names_the_operations() -> None:
    [one] = made({"uses": "enrich"}, [CHAIN])
    assert [segment.kind for segment in one.segments] == ["plan", "step", "step", "answer"]
    assert one.text == f"Plan: + -\n{CHAIN.text}"
    assert made({"uses": "enrich"}, [worked(2)]) == []


SAID = problem("p", QUESTION, "14", gold_steps=("12 + 5 = 17", "17 - 3 = 14"))


@pytest.mark.parametrize(
    ("text", "more", "kept"),
    [
        ("Ben has 12 + 5 = 17, twice 17 + 17 = 34. Cy: 17 - 3 = 14.", {}, True),
        ("Ben has 12 + 5 = 18, no, 17. Cy: 17 - 3 = 14.", {}, False),
        ("Ben has 12 + 5 = 18, no, 17. Cy: 17 - 3 = 14.", {"equations": False}, True),
        ("Cy has 14 as 17 - 3 = 14.", {}, True),
        ("Cy has 14, and Ben 17.", {}, False),
        ("Cy has 14, and Ben 17.", {"numbers": False}, True),
    ],
)
def test_enriched_solutions_say_what_the_worked_one_says(text: str, more: dict[str, bool], kept: bool) -> None:
    row = told(("step", text + "\n"), ("answer", "x"))
    assert bool(made({"uses": "faithful", **more}, [row], asked=SAID)) is kept


def test_wrong_rows_and_problems_without_a_worked_solution_are_left_out() -> None:
    wrong = replace(CHAIN, verdict=Verdict.WRONG)
    assert made({"uses": "faithful", "numbers": False, "equations": False}, [wrong, CHAIN], asked=SAID) == [CHAIN]
    assert made({"uses": "faithful"}, [CHAIN], asked=problem("p")) == []


def test_a_step_without_a_delimiter_gets_one_before_another_step_follows() -> None:
    [one] = made({"uses": "edit_steps", "expand": ["Check: {step}"]}, [told(("step", "1 + 1 = 2\n"), ("step", "so 2"))])
    assert [s.text for s in one.segments] == ["1 + 1 = 2\n", "Check: 1 + 1 = 2\n", "so 2\n", "Check: so 2\n"]


def test_a_match_goes_whole_and_white_space_is_no_step() -> None:
    [one] = made({"uses": "edit_steps", "split": "(;) ?"}, [told(("step", "a; b;; c\n"), ("answer", "Answer: 1"))])
    assert [s.text for s in one.segments] == ["a\n", "b\n", "c\n", "Answer: 1"]


def test_negative_results_are_found_and_results_without_a_number_are_not_asked_for() -> None:
    row = told(("step", "5 - 8 = -3\n"), ("answer", "Answer: -3"), answer="-3")
    assert made({"uses": "faithful"}, [row], asked=problem("p", gold_steps=("5 - 8 = -3",))) == [row]
    named = problem("p", gold_steps=("12 + 5 = y1", "17 - 3 = 14"))
    assert made({"uses": "faithful"}, [CHAIN], asked=named) == [CHAIN]


def test_a_template_may_name_the_question_twice_and_a_question_may_hold_a_place() -> None:
    assert put("{question} Again: {question} {shown}", "How {shown}?", "17\n") == "How {shown}? Again: How {shown}? 17"
