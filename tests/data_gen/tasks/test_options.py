"""Options of rows: labels, marks in front of texts, how a question shows them, and which of them is gold."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.records.problem import Problem
from data_gen.records.verdict import Answer, Verdict
from data_gen.sources.options import RowOptions, read_options
from data_gen.sources.values import BadValue
from data_gen.tasks import TASKS

DATA = Path(__file__).parents[4] / "shared/data"


@pytest.mark.parametrize(
    ("value", "own", "texts"),
    [
        (["bay", "bank"], "", ["bay", "bank"]),
        (["A) 21", "B)22", "C) 23"], "", ["21", "22", "23"]),
        (["(a) 21", "(b) 22"], "", ["21", "22"]),
        (["A. bay", "B: bank"], "", ["bay", "bank"]),
        (["1) bay", "2) bank"], "12", ["bay", "bank"]),
        (["1. bay", "2. bank"], "12", ["bay", "bank"]),
        (["1.5", "2.5"], "", ["1.5", "2.5"]),
        (["A. Lincoln", "J. Adams"], "", ["A. Lincoln", "J. Adams"]),
        (["B. Obama", "A. Lincoln"], "", ["B. Obama", "A. Lincoln"]),
        (["A) 21", "22"], "", ["A) 21", "22"]),
        (["A)", "B)"], "", ["A)", "B)"]),
        ([3, 4.5], "", ["3", "4.5"]),
        ([{"label": "P", "text": "bay"}, {"label": "Q", "text": "bank"}], "PQ", ["bay", "bank"]),
        ([{"label": "a", "text": "a) bay"}, {"label": "b", "text": "b) bank"}], "", ["bay", "bank"]),
        ([{"label": "1", "text": "A. Lincoln"}, {"label": "2", "text": "B. Obama"}], "12", ["A. Lincoln", "B. Obama"]),
        ({"label": ["1", "2"], "text": ["bay", "bank"]}, "12", ["bay", "bank"]),
        ({"A": "bay", "B": "bank"}, "", ["bay", "bank"]),
        ({"B": "bay", "A": "bank"}, "BA", ["bay", "bank"]),
        ({"1": "bay", "2": 4}, "12", ["bay", "4"]),
        ([], "", []),
    ],
)
def test_labels_and_texts(value: Any, own: str, texts: list[str]) -> None:
    assert read_options(value) == RowOptions(tuple(texts), tuple(own))


@given(st.lists(st.text("ABCxyz. )(1", min_size=1, max_size=6).map(str.strip), min_size=2, max_size=6))
def test_marks_are_removed_from_all_texts_or_from_none(texts: list[str]) -> None:
    found = read_options(texts).texts
    changed = [a != b for a, b in zip(found, texts, strict=True)]
    assert all(changed) or not any(changed)


@pytest.mark.parametrize("value", [{}, {"right": "bay", "wrong": "bank"}, {"label": "A", "text": "bay"}])
def test_another_object_is_told_how_to_give_options(value: dict[str, str]) -> None:
    with pytest.raises(BadValue, match=r"texts by labels of at most three .*A list of the texts, in order, also does"):
        read_options(value)


def test_a_label_stands_for_one_option() -> None:
    for labels in ("aA", "11"):
        with pytest.raises(BadValue, match="expected one label a choice; found"):
            read_options([{"label": label, "text": "x"} for label in labels])


@pytest.mark.parametrize(
    ("own", "gold", "found"),
    [
        ("", "B", "B"),
        ("", "(b)", "B"),
        ("", "b)", "B"),
        ("", "2", "B"),  # the text of B
        ("", 2, "C"),  # an index
        ("", "AC", "A, C"),
        ("", "Z", None),
        ("", 3, None),
        ("", -1, None),
        ("", "A or B", None),
        ("123", "2", "B"),
        ("123", 3, "C"),  # a label goes before an index
        ("123", 0, "A"),
        ("PQR", "Q", "B"),
        ("PQR", "(q)", "B"),
        ("PQR", "B", "B"),
    ],
)
def test_gold_is_a_label_a_text_or_an_index(own: str, gold: Any, found: str | None) -> None:
    assert RowOptions(("bay", "2", "x"), tuple(own)).gold(gold) == found


def test_an_answer_may_use_the_labels_of_the_row(tmp_path: Path) -> None:
    rows = [{"question": "Where?", "options": {"label": ["1", "2"], "text": ["bay", "bank"]}, "answer": "2"}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    settings = {"path": tmp_path / "a.jsonl", "split": {"test": None}, "fields": {"choices": "options"}}
    task = TASKS.get("jsonl").model_validate({"uses": "jsonl", **settings})
    [problem] = task.problems("test")
    assert problem.question == "Where?\n(A) bay\n(B) bank" and problem.gold == "B" and problem.labels == ("1", "2")
    assert Problem.from_row(problem.to_row()) == problem
    verdicts = [task.grade(problem, Answer(said)).verdict for said in ("B", "(2)", "bank", "1", "A", "2 or 1")]
    assert [one is Verdict.CORRECT for one in verdicts] == [True, True, True, False, False, False]


@pytest.mark.parametrize(
    ("file", "fields"),
    [
        ("aqua_test.jsonl", {"answer": "correct", "choices": "options"}),
        (
            "commonsenseqa_dev.jsonl",
            {"question": "question.stem", "answer": "answerKey", "choices": "question.choices"},
        ),
        ("mmlu_stem_600.jsonl", {"choices": "choices"}),
    ],
)
def test_real_rows(file: str, fields: dict[str, str]) -> None:
    """Each option is picked by its label, with its text and, where no label is that text, by its text; no other is."""
    if not (DATA / file).exists():
        pytest.skip(f"{file} is not here")
    settings = {"path": DATA / file, "split": {"test": None}, "fields": fields}
    task = TASKS.get("jsonl").model_validate({"uses": "jsonl", **settings})
    for problem in list(task.problems("test"))[:200]:
        assert problem.gold is not None
        right = problem.choices[string.ascii_uppercase.index(problem.gold)].casefold().split()
        for letter, text in zip(string.ascii_uppercase, problem.choices, strict=False):
            same = text.casefold().split() == right
            for said in (letter, f"({letter.lower()})", f"The answer is {letter}.", f"({letter}) {text}"):
                verdict = task.grade(problem, Answer(said)).verdict
                assert (verdict is Verdict.CORRECT) == same, (problem.choices, problem.gold, said)
