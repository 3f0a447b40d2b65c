"""`render`: every form of one solution by hand, and the solutions that have none."""

from __future__ import annotations

from typing import Any

import pytest

from data_gen.records.segment import Segment
from data_gen.records.solution import Solution
from tests.data_gen.transforms.test_transforms import made
from tests.reasoning_train.bench import solution

QUESTION = "Ana has 12. Ben has 5 more. Cy has 3 fewer than Ben. How many has Cy?"


def told(*segments: tuple[str, str], answer: str = "14", **more: Any) -> Solution:
    given = tuple(Segment(kind=kind, text=text) for kind, text in segments)
    fields: dict[str, Any] = {"question": QUESTION, "group": "p", "answer": answer, "segments": given}
    return solution("p", "", **fields | more)


STEPS = ("step", "Ben: 12 + 5 = 17\n"), ("step", "Cy: 17 - 3 = 14\n")
ROW = told(("think", "Hm.\n"), ("plan", "Plan: + -\n"), *STEPS, ("answer", "Answer: 14"))


def rendered(form: str, row: Solution = ROW) -> str | None:
    rows = made({"uses": "render", "form": form}, [row])
    return rows[0].text if rows else None


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("answer", "Answer: 14"),
        ("reasoned", "Ben: 12 + 5 = 17\nCy: 17 - 3 = 14\nAnswer: 14"),
        ("compressed", "Hm.\nPlan: + -\n12 + 5 = 17\n17 - 3 = 14\nAnswer: 14"),
        ("answer_first", "Hm.\nPlan: + -\nAnswer: 14\nBen: 12 + 5 = 17\nCy: 17 - 3 = 14"),
        ("reversed", "Hm.\nPlan: + -\nBen: 21 + 5 = 71\nCy: 71 - 3 = 41\nAnswer: 14"),
    ],
)
def test_the_forms_of_a_solution(form: str, text: str) -> None:
    assert rendered(form) == text


def test_a_program_has_the_equations_as_assignments() -> None:
    row = told(("step", "12 + 5 = 17\n"), ("step", "17 - 3 = 14, 14 * 2 = 28\n"), ("answer", "28"), answer="28")
    [one] = made({"uses": "render", "form": "program"}, [row])
    assert [(segment.kind, segment.text) for segment in one.segments] == [
        ("code", "x1 = 12 + 5\n"),
        ("code", "x2 = x1 - 3\nx3 = x2 * 2\n"),
        ("answer", "28"),
    ]
    names: dict[str, int] = {}
    exec("".join(segment.text for segment in one.segments[:2]), {"__builtins__": {}}, names)
    assert names == {"x1": 17, "x2": 14, "x3": 28}


@pytest.mark.parametrize(
    ("form", "segments", "answer"),
    [
        ("answer", STEPS, "14"),
        ("answer_first", STEPS, "14"),
        ("answer_first", [("answer", "Answer: 14")], "14"),
        ("compressed", [("step", "Fourteen.\n"), ("answer", "14")], "14"),
        ("reversed", [("answer", "14")], "14"),
        ("program", [("answer", "14")], "14"),
        ("program", [*STEPS, ("answer", "15")], "15"),  # the code gives something else
        ("program", [("step", "12 + 5 = 18\n"), ("answer", "18")], "18"),  # a wrong step
        ("program", [("step", "Ben has 17.\n"), ("answer", "17")], "17"),  # no equation
        ("program", [*STEPS, ("answer", "yes")], "yes"),
    ],
)
def test_a_row_without_the_form_is_left_out(form: str, segments: Any, answer: str) -> None:
    assert rendered(form, told(*segments, answer=answer)) is None


def test_steps_without_equations_go_from_a_compressed_solution() -> None:
    row = told(("step", "First Ben.\n"), ("step", "So 12 + 5 = 17, and 17 - 3 = 14.\n"), ("answer", "14"))
    assert rendered("compressed", row) == "12 + 5 = 17, 17 - 3 = 14\n14"
