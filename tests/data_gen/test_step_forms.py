"""Step forms: labelled solutions from rows of every form, and what a row of another form is told."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from data_gen.errors import UserError
from data_gen.records.solution import first_wrong
from data_gen.sources.rows import file_source
from data_gen.step_forms import STEP_FORMS, StepForm
from data_gen.step_forms.base import labels_until
from tests.benchmark_data import file

STEPS = ["1 + 1 = 2", "", "2 + 1 = 4"]
INDEXED = {"uses": "listed", "first_wrong": "label"}
ONE_BASED = {**INDEXED, "counted_from": 1}
LABELLED = {"uses": "listed", "labels": "labels"}


def form(**config: Any) -> StepForm:
    return STEP_FORMS.get(config["uses"]).model_validate(config)


def labels(config: dict[str, Any], **row: Any) -> tuple[bool | None, ...]:
    [one] = form(**config).solutions({"question": "q", "steps": STEPS, **row}, "f:1")
    assert len(one.steps) == len(one.labels)
    return one.labels


NO_ERROR = (True, True, True)


@pytest.mark.parametrize(
    ("config", "row", "expected"),
    [
        (INDEXED, {"label": 0}, (False, None, None)),
        (INDEXED, {"label": 2}, (True, True, False)),
        (INDEXED, {"label": 1}, (True, False, None)),  # a blank step is counted, as its source counts it
        (INDEXED, {"label": -1}, NO_ERROR),
        (INDEXED, {"label": None}, NO_ERROR),
        (INDEXED, {"label": 2.0}, (True, True, False)),  # whole numbers of a Parquet column with nulls
        (ONE_BASED, {"label": 3}, (True, True, False)),
        (ONE_BASED, {"label": 1}, (False, None, None)),
        (ONE_BASED, {"label": 0}, NO_ERROR),
        (ONE_BASED, {"label": -1}, NO_ERROR),
        (ONE_BASED, {"label": None}, NO_ERROR),
        (LABELLED, {"labels": [True, False, None]}, (True, False, None)),
        (LABELLED, {"labels": [1, -1, "+"]}, (True, False, True)),
        (LABELLED, {"labels": ["+", "-", None]}, (True, False, None)),
        ({**LABELLED, "zero": "right"}, {"labels": [1, 0, -1]}, (True, True, False)),
        ({**LABELLED, "zero": "wrong"}, {"labels": [1, 0, 0]}, (True, False, False)),
    ],
)
def test_labels_of_a_list(config: dict[str, Any], row: dict[str, Any], expected: tuple[bool | None, ...]) -> None:
    assert labels(config, **row) == expected


@given(steps=st.integers(1, 12), data=st.data(), base=st.sampled_from([0, 1]))
def test_an_index_is_read_back_from_its_labels(steps: int, data: st.DataObject, base: int) -> None:
    wrong = data.draw(st.none() | st.integers(0, steps - 1))
    row = {"steps": ["s"] * steps, "label": None if wrong is None else wrong + base}
    assert first_wrong(labels({**INDEXED, "counted_from": base}, **row)) == (steps if wrong is None else wrong)
    assert first_wrong(labels_until(wrong, steps)) == (steps if wrong is None else wrong)


@pytest.mark.parametrize(
    ("config", "row", "message"),
    [
        (INDEXED, {}, "f:1: no column 'label' (form.first_wrong)."),
        (INDEXED, {"label": 3}, "column 'label' (form.first_wrong): expected a step from 0 to 2, or null or -1"),
        (ONE_BASED, {"label": 4}, "expected a step from 1 to 3, or null or -1 for no error; found 4"),
        (INDEXED, {"label": -2}, "expected a step from 0 to 2"),
        (INDEXED, {"label": True}, "expected the number of a step, or null for no error; found a value of type bool"),
        (INDEXED, {"label": 1.5}, "expected the number of a step"),
        (INDEXED, {"label": float("nan")}, "expected the number of a step"),
        (INDEXED, {"label": float("inf")}, "expected the number of a step"),
        (INDEXED, {"label": "2"}, "expected the number of a step"),
        (INDEXED, {"label": 0, "steps": "1 + 1 = 2"}, "column 'steps' (form.steps): expected a list of texts"),
        (INDEXED, {"label": 0, "steps": ["a", None, "c"]}, "column 'steps' (form.steps): element 1"),
        (INDEXED, {"label": 0, "steps": []}, "expected a step from 0 to -1"),
        (LABELLED, {"labels": [True]}, "expected a label for each of 3 steps; found 1"),
        (LABELLED, {"labels": "+-+"}, "expected a list with a label per step"),
        (LABELLED, {"labels": [1, 0, -1]}, "element 1 is 0, which some sources call neutral and others wrong"),
        (LABELLED, {"labels": [1, 2, -1]}, "element 1: expected true or false, 1 or -1"),
        (LABELLED, {"labels": [1, [], -1]}, "element 1: expected true or false, 1 or -1"),
    ],
)
def test_rows_of_another_form_are_told(config: dict[str, Any], row: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        labels(config, **row)


def test_the_label_column_is_one() -> None:
    for config in ({}, {"first_wrong": "a", "labels": "b"}):
        with pytest.raises(ValidationError, match="first_wrong and labels: name one of the two columns"):
            form(uses="listed", **config)


def test_how_a_row_names_its_problem() -> None:
    row = {"question": " What  is it? ", "Body": "A", "Ask": "b?", "key": 7, "from": {"model": "m1"}}
    assert form(**INDEXED).problem_of(row, "f:1") == "What  is it?"
    assert form(**INDEXED, question="{Body} {Ask}").problem_of(row, "f:1") == "A b?"
    assert form(**INDEXED, id="key").problem_of(row, "f:1") == "7"
    tagged = form(**INDEXED, tags={"by": "from.model"})
    assert [tags for _, tags in tagged.read({**row, "steps": ["s"], "label": None}, "f:1")] == [{"by": "m1"}]
    with pytest.raises(UserError, match=re.escape("f:1: no column 'ky' (form.id). Did you mean 'key'?")):
        form(**INDEXED, id="ky").problem_of(row, "f:1")


def rated(text: str, rating: int | None) -> dict[str, Any]:
    return {"text": text, "rating": rating, "flagged": None}


def step(*completions: dict[str, Any], chosen: Any = None, human: Any = None) -> dict[str, Any]:
    return {"completions": list(completions), "human_completion": human, "chosen_completion": chosen}


def prm800k(*steps: dict[str, Any], end: str = "found_error") -> dict[str, Any]:
    return {"question": {"problem": "2 + 2?"}, "label": {"steps": list(steps), "finish_reason": end}}


def test_prm800k_follows_the_path_of_the_labeller() -> None:
    row = prm800k(
        step(rated("worse", -1), rated("first", 1), chosen=1),
        step(rated("bad", -1), human={"text": "by hand", "rating": None}),
        step(rated("so so", 0), chosen=0),
        step(rated("odd", 0), rated("wrong", -1)),
    )
    [one] = form(uses="prm800k").solutions(row, "f:1")
    assert one.steps == ("first", "by hand", "so so", "wrong") and one.labels == (True, True, True, False)
    assert form(uses="prm800k").problem_of(row, "f:1") == "2 + 2?"
    [solved] = form(uses="prm800k").solutions(prm800k(step(rated("a", 1), chosen=0), end="solution"), "f:1")
    assert first_wrong(solved.labels) == 1 == len(solved.steps)
    [unrated] = form(uses="prm800k").solutions(prm800k(step(rated("a", None), chosen=0)), "f:1")
    assert first_wrong(unrated.labels) is None
    for end in ("give_up", "bad_problem"):
        assert form(uses="prm800k").solutions(prm800k(step(rated("a", 1), chosen=0), end=end), "f:1") == []


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"question": {"problem": "q"}}, "f:1: no column 'label'."),
        ({"label": []}, "f:1: column 'label': expected an object; found a list"),
        ({"label": {}}, "f:1, label: no column 'steps'."),
        (prm800k(step()), "f:1, label: column 'steps': step 0 has no completions"),
        (
            prm800k(step(rated("a", 2), chosen=0)),
            "step 0: the rating is a value of type int, 2; expected 1, 0, -1 or null",
        ),
        (prm800k(step(rated("a", 1), chosen=1)), "step 0: chosen_completion is"),
        (prm800k(step({"rating": 1}, chosen=0)), "step 0: a completion has no text"),
    ],
)
def test_rows_that_are_not_prm800k_are_told(row: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        form(uses="prm800k").solutions(row, "f:1")


MARKED = {"uses": "marked_span", "id": "identifier", "named": "model|prompt"}
TEXT = "First.\n\n  Second, wrong here.  \nThird."


@pytest.mark.parametrize(
    ("start", "wrong"),
    [(None, 3), (0, 0), (TEXT.index("Second"), 1), (TEXT.index("wrong"), 1), (TEXT.index("Third"), 2), (7, 1), (6, 0)],
)
def test_a_marked_span_lies_in_a_line(start: int | None, wrong: int) -> None:
    row = {"identifier": "p", "marks": {"m1|short": {"text": TEXT, "start_idx": start, "end_idx": 9, "author": "a"}}}
    [(one, tags)] = form(**MARKED).read(row, "f:1")
    assert one.steps == ("First.", "Second, wrong here.", "Third.") and first_wrong(one.labels) == wrong
    assert tags == {"model": "m1", "prompt": "short"}


@pytest.mark.parametrize(
    ("marks", "message"),
    [
        ([], "expected an object of marked solutions; found a list"),
        ({"m|p": "text"}, "'m|p': expected an object with `text` and `start_idx`"),
        ({"m|p": {"text": TEXT}}, "'m|p': expected an object with `text` and `start_idx`"),
        ({"m|p": {"text": None, "start_idx": 0}}, "'m|p': expected a text; found null"),
        ({"m|p": {"text": TEXT, "start_idx": len(TEXT)}}, "behind the last line of the text"),
        ({"m|p": {"text": TEXT, "start_idx": -1}}, "expected the index of a character, or null"),
        ({"m|p": {"text": TEXT, "start_idx": "3"}}, "expected the index of a character, or null"),
        ({"m": {"text": TEXT, "start_idx": 0}}, "form.named is 'model|prompt', which names 2 parts"),
    ],
)
def test_marks_of_another_form_are_told(marks: Any, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        form(**MARKED).solutions({"marks": marks}, "f:1")


def test_every_mark_of_champ_is_read() -> None:
    path = file("champ/first_wrong_steps.jsonl")
    read = form(uses="marked_span", id="identifier", marks="fws_annotations", named="model|prompt")
    found = [one for place, row in file_source(path).rows() for one in read.solutions(row, place)]
    clean = [first_wrong(one.labels) == len(one.steps) for one in found]
    assert (len(found), sum(clean)) == (540, 96)
    marks = [mark for line in path.open(encoding="utf-8") for mark in json.loads(line)["fws_annotations"].values()]
    for one, mark in zip(found, marks, strict=True):
        wrong = first_wrong(one.labels)
        if mark["start_idx"] is not None:
            assert wrong is not None
            first_line = mark["text"][mark["start_idx"] : mark["end_idx"]].strip().splitlines()[0].strip()
            assert first_line in one.steps[wrong]
