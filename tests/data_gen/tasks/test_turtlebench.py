"""TurtleBench: stories joined to guesses, binary and three-way verdicts, and the baseline beside them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from data_gen.errors import UserError
from data_gen.graders.label import Label
from data_gen.records.segment import Kind, Segment
from data_gen.records.solution import Solution
from data_gen.records.verdict import Answer, Verdict
from data_gen.tasks import Task
from tests.benchmark_data import built, file, write_rows

STORIES = [
    {"title": "Soup", "surface": "A man eats soup.", "bottom": "It is cold."},
    {"title": "Lift", "surface": "A man rides.", "bottom": "He is short."},
]
CASES = [
    {"user_guess": "The soup is cold", "title": "Soup", "label": "Correct"},
    {"user_guess": "The soup is hot", "title": "Soup", "label": "Incorrect"},
    {"user_guess": "The man is rich", "title": "Lift", "label": "Unknown"},
]


def turtle(cases: Path, stories: Path, **settings: Any) -> Task:
    return built("turtlebench", path=cases, joins={"story": {"path": stories, "by": "title"}}, **settings)


@pytest.fixture
def task(tmp_path: Path) -> Task:
    return turtle(write_rows(tmp_path / "cases.jsonl", CASES), write_rows(tmp_path / "stories.jsonl", STORIES))


def said(text: str) -> Solution:
    segments = (Segment(kind=Kind.STEP, text=text, token_ids=(1,)),)
    return Solution(
        problem_id="", sample=0, prompt="", segments=segments, answer=text, verdict=Verdict.WRONG, finish="stop"
    )


def test_a_guess_stands_below_its_story(task: Task) -> None:
    first = next(iter(task.problems("test")))
    assert first.question == "Surface: A man eats soup.\n\nBottom: It is cold.\n\nGuess: The soup is cold"
    assert first.tags == {"story": "Soup", "label": "Correct"}


@pytest.mark.parametrize(
    ("reply", "binary", "three"),
    [
        ("Correct", "100", "100"),
        ("incorrect.", "011", "010"),
        ("Unknown, since nobody says so", "011", "001"),
        ("**Correct**", "100", "100"),
        ("Correctly guessed", "000", "000"),
        ("It is correct", "000", "000"),
        ("", "000", "000"),
    ],
)
def test_replies_by_hand(task: Task, reply: str, binary: str, three: str) -> None:
    problems = list(task.problems("test"))
    assert "".join(str(int(task.grade(p, Answer(reply)).verdict is Verdict.CORRECT)) for p in problems) == binary
    columns = [task.measure(p, said(reply)) for p in problems]
    assert "".join(f"{c['three_way']:.0f}" for c in columns) == three
    assert [c["always_Incorrect"] for c in columns] == [0, 1, 1]


def test_every_published_row_has_its_story_and_accepts_its_gold() -> None:
    task = turtle(file("turtlebench_en.jsonl"), file("turtlebench_stories_en.jsonl"))
    problems = list(task.problems("test"))
    assert (len(problems), dict(task.left_out("test"))) == (1514, {"repeated": 18})
    assert len({p.tags["story"] for p in problems}) == 32
    for gold in ("Correct", "Incorrect", "Unknown"):
        mine = [p for p in problems if p.gold == gold]
        right = Counter(a for p in mine for a in ("Correct", "Incorrect", "Unknown") if _right(task, p, a))
        wanted = ("Correct",) if gold == "Correct" else ("Incorrect", "Unknown")
        assert right == dict.fromkeys(wanted, len(mine))
    always = [task.measure(p, said("Correct"))["always_Incorrect"] for p in problems]
    assert sum(always) == sum(p.gold != "Correct" for p in problems)


def _right(task: Task, problem: Any, answer: str) -> bool:
    return task.grade(problem, Answer(answer)).verdict is Verdict.CORRECT


def test_the_chinese_files() -> None:
    grader = {"uses": "label", "labels": {"T": ["对"], "F": ["错"], "N": ["不知道"]}, "alike": [["F", "N"]]}
    cases, stories = file("turtlebench_zh.jsonl"), file("turtlebench_stories_zh.jsonl")
    task = turtle(cases, stories, grader=grader, graders={}, measures=[{"uses": "constant", "answer": "错"}])
    problems = list(task.problems("test"))
    assert {p.gold for p in problems} == {"T", "F", "N"}
    assert all(_right(task, p, "对。") == (p.gold == "T") for p in problems)
    assert all(_right(task, p, p.gold or "") and task.measure(p, said("x")) for p in problems)


@pytest.mark.parametrize(
    ("stories", "cases", "message"),
    [
        (STORIES[:1], CASES, r"cases.jsonl:3: .*stories.jsonl has no row 'Lift' \(task.joins.story\)"),
        ([*STORIES, STORIES[0]], CASES, r"stories.jsonl:3: 'Soup' stands in 'title' twice"),
        ([{"name": "Soup"}], CASES, r"stories.jsonl:1: no column 'title' \(task.joins.story.key\)"),
        (STORIES, [{**CASES[0], "title": ["Soup"]}], "task.joins.story.show"),
        (STORIES, [{**CASES[0], "title": None}], r"column 'title' \(task.joins.story\): expected text"),
        (STORIES, [{**CASES[0], "story": "x"}], "has a column 'story' already"),
    ],
)
def test_what_cannot_be_joined_is_told(tmp_path: Path, stories: Any, cases: Any, message: str) -> None:
    task = turtle(write_rows(tmp_path / "cases.jsonl", cases), write_rows(tmp_path / "stories.jsonl", stories))
    with pytest.raises(UserError, match=message):
        list(task.problems("test"))


def test_a_story_file_that_is_not_named_or_not_there(tmp_path: Path) -> None:
    cases = write_rows(tmp_path / "cases.jsonl", CASES)
    with pytest.raises(UserError, match=r"--set task.joins.story.path=FILE"):
        built("turtlebench", path=cases).files()
    with pytest.raises(UserError, match=r"task.joins.story.path: no file"):
        list(turtle(cases, tmp_path / "none.jsonl").problems("test"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"labels": {"a": [], "b": []}, "alike": [["a", "c"]]}, "'c' is none of the labels a, b"),
        ({"labels": {"a": [], "b": []}, "alike": [["a"], ["a", "b"]]}, "stands in two groups"),
        ({"labels": {"a": ["B"], "b": []}}, "stand for one label each"),
    ],
)
def test_labels_that_contradict_each_other_are_refused(settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Label.model_validate({"uses": "label", **settings})
