"""CHAMP: gold in words, hints and concepts below the question, and solutions that are begun."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from data_gen.graders.worded import Worded, forms
from data_gen.records.problem import Problem
from data_gen.records.verdict import Answer, Verdict
from data_gen.tasks import Task
from tests.benchmark_data import built, file, write_rows

ROW = {
    "identifier": "P_1",
    "_text": "How many?",
    "_answer": "C(4, 2), or equivalently 6",
    "category": "Combinatorics",
    "ch_list": ["H_1_1", "C_choose", "H_1_2"],
    "solution": {"steps": [{"_text": f"Step {n}."} for n in range(1, 7)]},
}
HINTS = [{"identifier": "H_1_1", "_text": "Count pairs."}, {"identifier": "H_1_2", "_text": "Order is nothing."}]
CONCEPTS = [{"identifier": "C_choose", "_text": "C(n, k) ways."}]


def champ(rows: Path, hints: Path, concepts: Path, question: str, **settings: Any) -> Task:
    """With the joins of the config and the files' own paths."""
    joins = built("champ", path=rows).model_dump(mode="json")["joins"]
    joins = {name: {**joins[name], "path": path} for name, path in (("hints", hints), ("concepts", concepts))}
    fields = {**built("champ", path=rows).model_dump(mode="json")["fields"], "question": question}
    return built("champ", path=rows, joins=joins, fields=fields, **settings)


def right(gold: str, answer: str) -> bool:
    problem = Problem(id="p", question="q", gold=gold, group="p", split="test")
    grade = Worded().grade(problem, Answer(answer))
    assert grade.verdict is not Verdict.UNVERIFIABLE
    return grade.verdict is Verdict.CORRECT


@pytest.mark.parametrize(
    ("gold", "same", "others"),
    [
        ("C(10, 5), or equivalently 252", ["252", "C(10,5)", "\\binom{10}{5}"], ["251", "C(10, 4)", "10 or 252"]),
        ("5/14, or approximately 35.7%", ["5/14", "35.7%"], ["0.4", "14/5"]),
        ("100 (i.e., all values)", ["100", "100 values"], ["10", "99"]),
        ("3 is the only possible value", ["3", "The only possible value is 3"], ["2", "none"]),
        ("The limit exists and is equal to 2/3", ["2/3", "The limit is 2/3"], ["3/2", "The limit does not exist"]),
        ("The limit does not exist", ["the limit does not exist"], ["0", "the limit exists"]),
        ("No integer solutions", ["no solutions", "None", "There are no integer solutions."], ["0 or 1", "x=1"]),
        ("No", ["no", "No, it is not"], ["none", "no solutions", "yes"]),
        ("At least 1 number", ["1", "at least 1"], ["0", "2"]),
        ("Exactly one", ["1", "one"], ["two", "0"]),
        ("2^(n-1)", ["2^{n-1}", "2^n/2"], ["2^n"]),
    ],
)
def test_gold_in_words(gold: str, same: list[str], others: list[str]) -> None:
    assert [answer for answer in [gold, *same] if not right(gold, answer)] == []
    assert [answer for answer in [*others, "", "I do not know"] if right(gold, answer)] == []


def test_gold_that_says_nothing_is_unverifiable() -> None:
    problem = Problem(id="p", question="q", gold="???", group="p", split="test")
    assert Worded().grade(problem, Answer("???")).verdict is Verdict.UNVERIFIABLE


def test_hints_and_concepts_stand_below_the_question(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "p.jsonl", [ROW, {**ROW, "identifier": "P_2", "_text": "Why?", "ch_list": []}])
    hints, concepts = write_rows(tmp_path / "h.jsonl", HINTS), write_rows(tmp_path / "c.jsonl", CONCEPTS)
    first, second = champ(rows, hints, concepts, "{_text}\n\n{concepts}\n\n{hints}").problems("test")
    assert first.question == "How many?\n\nFacts:\n- C(n, k) ways.\n\nHints:\n- Count pairs.\n- Order is nothing."
    assert second.question == "Why?"
    [plain, _] = built("champ", path=rows).problems("test")
    assert (plain.question, plain.gold_steps[0], plain.tags) == (
        "How many?",
        "Step 1.",
        {"category": "Combinatorics", "given": "3"},
    )
    assert plain.id == first.id


@pytest.mark.parametrize(("share", "shown"), [(1 / 3, 2), (2 / 3, 4), (0.01, 0), (0.99, 5)])
def test_the_beginning_of_the_solution(tmp_path: Path, share: float, shown: int) -> None:
    [problem] = built("champ", path=write_rows(tmp_path / "p.jsonl", [ROW]), begun={"share": share}).problems("test")
    steps = [step["_text"] for step in ROW["solution"]["steps"]]  # type: ignore[index]
    below = "\n\nThe solution begins:\n" + "\n".join(steps[:shown]) if shown else ""
    assert problem.question == "How many?" + below
    assert list(problem.gold_steps) == steps[shown:] and problem.group == "how many?"


def test_every_published_row_accepts_each_form_of_its_gold() -> None:
    rows = file("champ/problems.jsonl")
    question = "{_text}\n\n{concepts}\n\n{hints}"
    task = champ(rows, file("champ/hints.jsonl"), file("champ/concepts.jsonl"), question)
    problems = list(task.problems("test"))
    assert len(problems) == 270 and len({p.tags["category"] for p in problems}) == 5
    assert sum("\nHints:\n- " in p.question for p in problems) == 245
    assert sum("\nFacts:\n- " in p.question for p in problems) == 223
    for problem in problems:
        assert problem.gold is not None and problem.gold_steps
        assert all(task.grade(problem, Answer(form)).verdict is Verdict.CORRECT for form in forms(problem.gold))
        assert task.grade(problem, Answer("I do not know")).verdict is Verdict.WRONG
